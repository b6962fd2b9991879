// The factors on the CPU.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "ops/half_dropout/factor.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

void draw_half_dropout_cpu(at::Tensor& scale, const at::Tensor& seed_step, int64_t first_sample,
                           int64_t layer) {
  const int64_t* at = seed_step_data(seed_step, scale.device());
  const int64_t samples = scale.size(0), width = scale.size(1);
  float* out = scale.data_ptr<float>();
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      *out++ = half_dropout_factor(at, first_sample + i, layer, width, j);
    }
  }
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("draw_half_dropout_", &draw_half_dropout_cpu); }

}  // namespace
}  // namespace mcloss
