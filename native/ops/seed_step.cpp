#include "ops/seed_step.h"

#include <ATen/ops/empty.h>

#include <limits>

#include "ops/operator.h"

namespace mcloss {

void check_counter(const char* who, const char* name, int64_t value) {
  if (value < 0 || value > std::numeric_limits<uint32_t>::max()) {
    refuse(who, c10::str(name, " between 0 and 4294967295"), c10::str(value));
  }
}

at::Tensor make_seed_step(uint64_t seed, int64_t step, at::Device device) {
  check_counter("seed_step", "step", step);
  const at::Tensor seed_step = at::empty({2}, at::TensorOptions().dtype(at::kLong).device(device));
  set_seed_step(seed_step, seed, step);
  return seed_step;
}

void set_seed_step(const at::Tensor& seed_step, uint64_t seed, int64_t step) {
  seed_step.select(0, 0).fill_(static_cast<int64_t>(seed));
  seed_step.select(0, 1).fill_(step);
}

const int64_t* seed_step_data(const at::Tensor& seed_step, at::Device device) {
  if (seed_step.scalar_type() != at::kLong || seed_step.sizes() != at::IntArrayRef{2} ||
      !seed_step.is_contiguous() || seed_step.device() != device) {
    refuse("seed_step", c10::str("int64 [2] on ", device), describe(seed_step));
  }
  return seed_step.const_data_ptr<int64_t>();
}

}  // namespace mcloss
