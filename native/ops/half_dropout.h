// The factors of a dropout with probability 1/2, drawn from a seed by Philox (ops/kernel/philox.h,
// Purpose::dropout): the same for any split into micro-batches and on any device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mcloss {

// float [samples, width] on seed_step's device (ops/seed_step.h): 0 or 2. layer: which dropout of the
// network this is; first_sample: the position of sample 0 in the whole batch.
at::Tensor half_dropout_scale(const at::Tensor& seed_step, int64_t samples, int64_t width,
                              int64_t first_sample, int64_t layer);

}  // namespace mcloss
