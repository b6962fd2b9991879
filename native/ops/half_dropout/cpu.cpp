// The factors on the CPU.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

void draw_half_dropout_cpu(at::Tensor& scale, const at::Tensor& seed_step, int64_t first_sample,
                           int64_t layer) {
  const int64_t* at = seed_step_data(seed_step, scale.device());
  const auto seed = static_cast<uint64_t>(at[0]);
  const auto step = static_cast<uint32_t>(at[1]);
  const int64_t samples = scale.size(0), width = scale.size(1);
  float* out = scale.data_ptr<float>();
  for (int64_t i = 0; i < samples; ++i) {
    const auto sample = static_cast<uint32_t>(first_sample + i);
    for (int64_t j = 0; j < width; ++j) {
      const auto draw = static_cast<uint32_t>(layer * width + j);
      *out++ = philox_draw(seed, step, sample, draw, Stream::dropout) >> 31 ? 2.0f : 0.0f;
    }
  }
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("draw_half_dropout_", &draw_half_dropout_cpu); }

}  // namespace
}  // namespace mcloss
