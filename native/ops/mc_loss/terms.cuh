// What follows from the scores: L_dis, L_div, the loss and d L_dis / d g. One block, a warp a sample.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/kernel/reductions.cuh"
#include "ops/mc_loss/checks.h"

namespace mcloss {
namespace {

constexpr int kTermThreads = 1024;

template <typename T>
struct TermArguments {
  GroupLayout groups;
  int64_t samples;
  McFactors factors;
  const T *class_scores, *diversity;
  const int64_t* target;
  int64_t target_stride;
  T *loss, *dis, *div, *score_grad;
};

template <typename T>
__global__ void __launch_bounds__(kTermThreads) terms_kernel(const TermArguments<T> a) {
  __shared__ double room[kTermThreads / kWarp];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t classes = a.groups.num_classes;
  double dis_sum = 0, small_sum = 0, large_sum = 0;
  for (int64_t n = warp; n < a.samples; n += kTermThreads / kWarp) {
    const T* const scores = a.class_scores + n * classes;
    const T* const spread = a.diversity + n * classes;
    T largest = -infinity<T>();
    for (int64_t k = lane; k < classes; k += kWarp) {
      largest = scores[k] > largest ? scores[k] : largest;
      (k < a.groups.num_small ? small_sum : large_sum) += spread[k];
    }
    largest = warp_max(largest);
    T sum = 0;
    for (int64_t k = lane; k < classes; k += kWarp) sum += exp(scores[k] - largest);
    sum = warp_sum(sum);
    const int64_t label = a.target[n * a.target_stride];
    const bool in_range = label >= 0 && label < classes;
    for (int64_t k = lane; k < classes; k += kWarp) {
      const T probability = exp(scores[k] - largest) / sum;
      a.score_grad[n * classes + k] = (probability - (k == label)) / static_cast<T>(a.samples);
    }
    if (lane == 0) {
      dis_sum += in_range ? static_cast<double>(log(sum) + largest - scores[label])
                          : std::numeric_limits<double>::quiet_NaN();
    }
  }
  dis_sum = block_sum<double, kTermThreads>(dis_sum, room);
  small_sum = block_sum<double, kTermThreads>(small_sum, room);
  large_sum = block_sum<double, kTermThreads>(large_sum, room);
  if (threadIdx.x != 0) return;
  const double count = static_cast<double>(a.samples) * static_cast<double>(classes);
  const double dis = dis_sum / static_cast<double>(a.samples);
  *a.dis = static_cast<T>(dis);
  *a.div = static_cast<T>((small_sum + large_sum) / count);
  *a.loss = static_cast<T>(a.factors.dis * dis + a.factors.constant +
                           (a.factors.small * small_sum + a.factors.large * large_sum) / count);
}

template <typename T>
void launch_terms(const at::Tensor& target, const GroupLayout& groups, const McFactors& factors,
                  const McForward& result) {
  const TermArguments<T> a{groups,
                           target.size(0),
                           factors,
                           result.class_scores.const_data_ptr<T>(),
                           result.diversity.const_data_ptr<T>(),
                           target.const_data_ptr<int64_t>(),
                           target.stride(0),
                           result.loss.data_ptr<T>(),
                           result.dis.data_ptr<T>(),
                           result.div.data_ptr<T>(),
                           result.score_grad.data_ptr<T>()};
  terms_kernel<T><<<1, kTermThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(a);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace
}  // namespace mcloss
