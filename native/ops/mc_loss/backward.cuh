// The backward pass: it reads the map and writes the gradient once.
#pragma once

#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/kernel/packs.cuh"
#include "ops/mc_loss/checks.h"
#include "ops/mc_loss/map.cuh"

namespace mcloss {
namespace {

// Null where nothing came.
template <typename T>
struct Upstream {
  const T *loss, *dis, *div, *class_scores, *diversity;
};

template <typename S, typename I>
struct BackwardArguments : Pass<S> {
  using T = at::opmath_type<S>;
  McFactors factors;
  Map<S> grad;
  Upstream<T> upstream;
  const I* winners;
  const T *channel_stats, *score_grad;
};

// d loss / d g and d loss / d h of one (sample, class).
template <typename T>
struct GradOfScores {
  T score, spread;
};

template <typename S, typename I>
__device__ GradOfScores<at::opmath_type<S>> grad_of_scores(const BackwardArguments<S, I>& a,
                                                           int64_t group, int64_t cls) {
  using T = at::opmath_type<S>;
  const auto& up = a.upstream;
  const double loss = up.loss ? *up.loss : 0;
  const double dis = (up.dis ? *up.dis : 0) + a.factors.dis * loss;
  const double weight = cls < a.groups.num_small ? a.factors.small : a.factors.large;
  const double count = static_cast<double>(a.samples) * static_cast<double>(a.groups.num_classes);
  double score = up.loss || up.dis ? dis * a.score_grad[group] : 0;
  double spread = ((up.div ? *up.div : 0) + weight * loss) / count;
  if (up.class_scores) score += up.class_scores[group];
  if (up.diversity) spread += up.diversity[group];
  return {static_cast<T>(score), static_cast<T>(spread)};
}

// kCount values at a time, next to each other: kWide where both maps are packed and every row begins
// at a multiple of 16 bytes, else 1.
template <typename S, typename I, int kCount>
__global__ void __launch_bounds__(kMcThreads) backward_kernel(const BackwardArguments<S, I> a) {
  using T = at::opmath_type<S>;
  const int64_t group = blockIdx.x;
  const int64_t sample = group / a.groups.num_classes, cls = group % a.groups.num_classes;
  const int64_t begin = a.groups.begin(cls);
  const int size = static_cast<int>(a.groups.size(cls));
  const S* const from = a.features.at(sample, begin);
  S* const to = a.grad.at(sample, begin);
  const int64_t plane = a.samples * a.groups.num_channels;
  const T* const largest_of = a.channel_stats + sample * a.groups.num_channels + begin;
  const I* const score_winners = a.winners + group * a.positions;
  const I* const spread_winners = score_winners + a.samples * a.groups.num_classes * a.positions;
  const GradOfScores<T> upstream = grad_of_scores(a, group, cls);
  const T score_share = upstream.score / static_cast<T>(a.positions);

  const int packs_a_row = a.positions / kCount;
  for (int i = threadIdx.x; i < size * packs_a_row; i += kMcThreads) {
    const int c = a.channels_first ? i % size : i / packs_a_row;
    const int p = (a.channels_first ? i / size : i % packs_a_row) * kCount;
    const T largest = largest_of[c], inverse = largest_of[plane + c];
    const T won = largest_of[2 * plane + c], lost = largest_of[3 * plane + c];
    const auto values = *reinterpret_cast<const Pack<S, kCount>*>(from + c * a.features.channel +
                                                                  a.features.offset(p));
    const auto score_winner = *reinterpret_cast<const Pack<I, kCount>*>(score_winners + p);
    const auto spread_winner = *reinterpret_cast<const Pack<I, kCount>*>(spread_winners + p);
    Pack<S, kCount> grad;
    for (int j = 0; j < kCount; ++j) {
      const T softmax = exp(static_cast<T>(values.value[j]) - largest) * inverse;
      const T share = spread_winner.value[j] == static_cast<I>(c) ? lost : -won;
      const T scored = score_winner.value[j] == static_cast<I>(c) ? score_share : T(0);
      grad.value[j] = static_cast<S>(upstream.spread * softmax * share + scored);
    }
    *reinterpret_cast<Pack<S, kCount>*>(to + c * a.grad.channel + a.grad.offset(p)) = grad;
  }
}

template <typename S, typename I>
void launch_backward(const at::Tensor& features, const at::Tensor& grad, const GroupLayout& groups,
                     const McFactors& factors, const Upstream<at::opmath_type<S>>& upstream,
                     const at::Tensor& winners, const at::Tensor& channel_stats,
                     const at::Tensor& score_grad) {
  using T = at::opmath_type<S>;
  BackwardArguments<S, I> a{pass_over<S>(features, groups)};
  a.factors = factors;
  a.grad = map_of<S>(grad);
  a.upstream = upstream;
  a.winners = winners.const_data_ptr<I>();
  a.channel_stats = channel_stats.const_data_ptr<T>();
  a.score_grad = score_grad.const_data_ptr<T>();
  const unsigned blocks = blocks_of(features, groups);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const bool wide = is_packed(features) && is_packed(grad) && a.positions % kWide<S> == 0 &&
                    features.stride(0) % kWide<S> == 0 && grad.stride(0) % kWide<S> == 0 &&
                    is_aligned(a.features.data) && is_aligned(a.grad.data);
  if (wide) {
    backward_kernel<S, I, kWide<S>><<<blocks, kMcThreads, 0, stream>>>(a);
  } else {
    backward_kernel<S, I, 1><<<blocks, kMcThreads, 0, stream>>>(a);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace
}  // namespace mcloss
