// (seed, step) as a tensor int64 [2] on the device that draws: the run's seed and the step's number.
// What draws reads them there, so a recorded CUDA graph draws anew in every replay.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mcloss {

// Throws E_ARGUMENT unless value is a word of Philox's counter (ops/kernel/philox.h), 0..2^32-1.
void check_counter(const char* who, const char* name, int64_t value);

// Throws E_ARGUMENT for a step outside 0..2^32-1.
at::Tensor make_seed_step(uint64_t seed, int64_t step, at::Device device = at::kCPU);
// In place, without a wait for the device.
void set_seed_step(const at::Tensor& seed_step, uint64_t seed, int64_t step);

// Its two numbers, where `device` reads them. Throws E_ARGUMENT for another kind of tensor.
const int64_t* seed_step_data(const at::Tensor& seed_step, at::Device device);

}  // namespace mcloss
