// half_dropout on CUDA, the same bits as on the CPU: a thread a value.
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "ops/half_dropout/factor.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

constexpr int kDropoutThreads = 256;

__global__ void draw_half_dropout_kernel(const int64_t* seed_step, int64_t values, int64_t width,
                                         int64_t first_sample, int64_t layer, float* scale) {
  const int64_t i = int64_t{blockIdx.x} * kDropoutThreads + threadIdx.x;
  if (i >= values) return;
  scale[i] = half_dropout_factor(seed_step, first_sample + i / width, layer, width, i % width);
}

void draw_half_dropout_cuda(at::Tensor& scale, const at::Tensor& seed_step, int64_t first_sample,
                            int64_t layer) {
  const int64_t* at = seed_step_data(seed_step, scale.device());
  const int64_t values = scale.numel();
  if (values == 0) return;
  const c10::cuda::CUDAGuard guard(scale.device());
  draw_half_dropout_kernel<<<static_cast<unsigned>(at::ceil_div<int64_t>(values, kDropoutThreads)),
                             kDropoutThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      at, values, scale.size(1), first_sample, layer, scale.data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) { m.impl("draw_half_dropout_", &draw_half_dropout_cuda); }

}  // namespace
}  // namespace mcloss
