// half_dropout on CUDA, the same bits as on the CPU: a thread a value.
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

constexpr int kThreads = 256;

__global__ void draw_half_dropout_kernel(const int64_t* seed_step, int64_t values, int64_t width,
                                         int64_t first_sample, int64_t layer, float* scale) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= values) return;
  const auto sample = static_cast<uint32_t>(first_sample + i / width);
  const auto draw = static_cast<uint32_t>(layer * width + i % width);
  const uint32_t word =
      philox_draw(static_cast<uint64_t>(seed_step[0]), static_cast<uint32_t>(seed_step[1]), sample,
                  draw, Stream::dropout);
  scale[i] = word >> 31 ? 2.0f : 0.0f;
}

void draw_half_dropout_cuda(at::Tensor& scale, const at::Tensor& seed_step, int64_t first_sample,
                            int64_t layer) {
  const int64_t* at = seed_step_data(seed_step, scale.device());
  const int64_t values = scale.numel();
  if (values == 0) return;
  const c10::cuda::CUDAGuard guard(scale.device());
  draw_half_dropout_kernel<<<static_cast<unsigned>(at::ceil_div<int64_t>(values, kThreads)),
                             kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      at, values, scale.size(1), first_sample, layer, scale.data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) { m.impl("draw_half_dropout_", &draw_half_dropout_cuda); }

}  // namespace
}  // namespace mcloss
