// step_sums on CUDA: a block a call, a warp a sample. What is added is added in the CPU's order.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <tuple>

#include "ops/kernel/reductions.cuh"
#include "ops/step_sums/sums.h"

namespace mcloss {
namespace {

constexpr int kStepThreads = 512;

__global__ void __launch_bounds__(kStepThreads)
    add_batch_sums_kernel(const float* logits, const int64_t* target, int64_t n, int64_t classes,
                          BatchMeans means, bool first, double* step) {
  __shared__ int room[kStepThreads / kWarp];
  int correct = 0;  // of this warp's samples, in its first thread
  for (int64_t sample = threadIdx.x / kWarp; sample < n; sample += kStepThreads / kWarp) {
    const float* row = logits + sample * classes;
    const int64_t own = target[sample];
    const bool exists = own >= 0 && own < classes;
    int before = exists ? 0 : 1;
    for (int64_t i = threadIdx.x % kWarp; exists && i < classes; i += kWarp) {
      before += i != own && comes_before(row[i], i, row[own], own);
    }
    before = warp_sum(before);
    if (threadIdx.x % kWarp == 0 && before == 0) ++correct;
  }
  correct = block_sum<int, kStepThreads>(correct, room);
  if (threadIdx.x == 0) add_batch(means, correct, static_cast<double>(n), first, step);
}

__global__ void add_step_sums_kernel(const double* step, const float* grad_norm, int64_t count,
                                     double* sums, bool* skip, float* found_inf) {
  const bool skipped = is_skipped(step, *grad_norm);
  const int64_t i = threadIdx.x;
  if (i < count) sums[i] += added(step, *grad_norm, skipped, i);
  if (i > 0) return;
  *skip = skipped;
  *found_inf = skipped ? 1 : 0;
}

void add_batch_sums_cuda(at::Tensor& step, const at::Tensor& logits, const at::Tensor& target,
                         at::TensorList given, bool first) {
  const c10::cuda::CUDAGuard guard(step.device());
  BatchMeans means{};
  for (const at::Tensor& mean : given) means.mean[means.count++] = mean.const_data_ptr<float>();
  add_batch_sums_kernel<<<1, kStepThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      logits.const_data_ptr<float>(), target.const_data_ptr<int64_t>(), logits.size(0),
      logits.size(1), means, first, step.data_ptr<double>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

std::tuple<at::Tensor, at::Tensor> add_step_sums_cuda(at::Tensor& sums, const at::Tensor& step,
                                                      const at::Tensor& grad_norm) {
  const c10::cuda::CUDAGuard guard(sums.device());
  const at::Tensor skip = at::empty({}, sums.options().dtype(at::kBool));
  const at::Tensor found_inf = at::empty({}, sums.options().dtype(at::kFloat));
  add_step_sums_kernel<<<1, kWarp, 0, c10::cuda::getCurrentCUDAStream()>>>(
      step.const_data_ptr<double>(), grad_norm.const_data_ptr<float>(), sums.numel(),
      sums.data_ptr<double>(), skip.data_ptr<bool>(), found_inf.data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return {skip, found_inf};
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) {
  m.impl("add_batch_sums_", &add_batch_sums_cuda);
  m.impl("add_step_sums_", &add_step_sums_cuda);
}

}  // namespace
}  // namespace mcloss
