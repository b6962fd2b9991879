// The forward pass: class scores and diversity, and what the backward pass keeps of each channel. It
// reads the map once where a group of xi * P values fits into 48 KiB of shared memory (as float32;
// double for float64): 62 channels at 14 x 14. Beyond that it reads it three times, the second and
// third time mostly from the second-level cache.
#pragma once

#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/kernel/packs.cuh"
#include "ops/kernel/reductions.cuh"
#include "ops/mc_loss/checks.h"
#include "ops/mc_loss/map.cuh"

namespace mcloss {
namespace {

constexpr int kMcWarps = kMcThreads / kWarp;
constexpr int64_t kSharedBytes = 48 * 1024 - 256;  // the rest is for the reductions

template <typename S, typename I>
struct ForwardArguments : Pass<S> {
  using T = at::opmath_type<S>;
  bool packed;
  const bool* mask;  // or null
  int64_t mask_stride;
  T *class_scores, *diversity, *channel_stats;
  I* winners;
};

// [size, positions] of one group into shared memory.
template <typename S, typename I>
__device__ void stage(const ForwardArguments<S, I>& a, const S* from, int size,
                      at::opmath_type<S>* staged) {
  using T = at::opmath_type<S>;
  const int count = size * a.positions;
  if (a.packed) {
    int done = 0;
    if (is_aligned(from)) {
      const auto* packs = reinterpret_cast<const Pack<S, kWide<S>>*>(from);
      for (int i = threadIdx.x; i < count / kWide<S>; i += kMcThreads) {
        const Pack<S, kWide<S>> pack = packs[i];
        for (int j = 0; j < kWide<S>; ++j) staged[i * kWide<S> + j] = static_cast<T>(pack.value[j]);
      }
      done = count / kWide<S> * kWide<S>;
    }
    for (int i = done + threadIdx.x; i < count; i += kMcThreads)
      staged[i] = static_cast<T>(from[i]);
    return;
  }
  for (int i = threadIdx.x; i < count; i += kMcThreads) {
    const int c = a.channels_first ? i % size : i / a.positions;
    const int p = a.channels_first ? i / size : i % a.positions;
    staged[c * a.positions + p] =
        static_cast<T>(from[c * a.features.channel + a.features.offset(p)]);
  }
}

template <typename S, typename I, bool kStaged>
__global__ void __launch_bounds__(kMcThreads) forward_kernel(const ForwardArguments<S, I> a) {
  using T = at::opmath_type<S>;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ T room[kMcWarps];
  T* const staged = reinterpret_cast<T*>(shared);

  const int64_t group = blockIdx.x;
  const int64_t sample = group / a.groups.num_classes, cls = group % a.groups.num_classes;
  const int64_t begin = a.groups.begin(cls);
  const int size = static_cast<int>(a.groups.size(cls));
  const S* const from = a.features.at(sample, begin);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const auto value = [&](int c, int p) {
    if constexpr (kStaged) {
      return staged[c * a.positions + p];
    } else {
      return static_cast<T>(from[c * a.features.channel + a.features.offset(p)]);
    }
  };
  if constexpr (kStaged) {
    stage(a, from, size, staged);
    __syncthreads();
  }

  // Each channel's largest value, and 1 / sum of exp(F - largest): a warp a channel.
  const int64_t plane = a.samples * a.groups.num_channels;
  T* const largest_of = a.channel_stats + sample * a.groups.num_channels + begin;
  T* const inverse_of = largest_of + plane;
  T* const won_of = inverse_of + plane;
  T* const lost_of = won_of + plane;
  for (int c = warp; c < size; c += kMcWarps) {
    T largest = -infinity<T>();
    for (int p = lane; p < a.positions; p += kWarp) {
      const T v = value(c, p);
      largest = v > largest ? v : largest;
    }
    largest = warp_max(largest);
    T sum = 0;
    for (int p = lane; p < a.positions; p += kWarp) sum += exp(value(c, p) - largest);
    sum = warp_sum(sum);
    if (lane == 0) {
      largest_of[c] = largest;
      inverse_of[c] = 1 / sum;
    }
  }
  __syncthreads();

  // Both maxima at each position: a thread a position. NaN in a channel makes the sums NaN.
  const bool* const mask = a.mask ? a.mask + sample * a.mask_stride + begin : nullptr;
  I* const score_winners = a.winners + group * a.positions;
  I* const spread_winners = score_winners + a.samples * a.groups.num_classes * a.positions;
  T score_sum = 0, spread_sum = 0;
  for (int p = threadIdx.x; p < a.positions; p += kMcThreads) {
    T score = -infinity<T>(), spread = -infinity<T>();
    I score_winner = 0, spread_winner = 0;
    T not_a_number = 0, not_a_spread = 0;
    for (int c = 0; c < size; ++c) {
      const T v = value(c, p);
      const bool kept = !mask || mask[c];
      const T attended = kept ? v : T(0);
      if (attended > score) {
        score = attended;
        score_winner = static_cast<I>(kept ? c : kNoChannel);
      }
      if (attended != attended) not_a_number = attended;
      const T softmax = exp(v - largest_of[c]) * inverse_of[c];
      if (softmax > spread) {
        spread = softmax;
        spread_winner = static_cast<I>(c);
      }
      if (softmax != softmax) not_a_spread = softmax;
    }
    score_sum += score + not_a_number;
    spread_sum += spread + not_a_spread;
    score_winners[p] = score_winner;
    spread_winners[p] = spread_winner;
  }
  const T score_total = block_sum<T, kMcThreads>(score_sum, room);
  const T spread_total = block_sum<T, kMcThreads>(spread_sum, room);
  if (threadIdx.x == 0) {
    a.class_scores[group] = score_total / static_cast<T>(a.positions);
    a.diversity[group] = spread_total;
  }

  // The softmax of each channel summed over the positions that it won, and over the others. The
  // barriers of block_sum stand between the writing and the reading of the winners.
  for (int c = warp; c < size; c += kMcWarps) {
    T won = 0, lost = 0;
    for (int p = lane; p < a.positions; p += kWarp) {
      (spread_winners[p] == static_cast<I>(c) ? won : lost) += exp(value(c, p) - largest_of[c]);
    }
    won = warp_sum(won);
    lost = warp_sum(lost);
    if (lane == 0) {
      won_of[c] = won * inverse_of[c];
      lost_of[c] = lost * inverse_of[c];
    }
  }
}

template <typename S, typename I>
void launch_forward(const at::Tensor& features, const MaybeTensor& mask, const GroupLayout& groups,
                    const McForward& result) {
  using T = at::opmath_type<S>;
  ForwardArguments<S, I> a{pass_over<S>(features, groups)};
  a.packed = is_packed(features);
  a.mask = data_or_null<const bool>(mask);
  a.mask_stride = mask && mask->dim() == 2 ? mask->size(1) : 0;
  a.class_scores = result.class_scores.data_ptr<T>();
  a.diversity = result.diversity.data_ptr<T>();
  a.channel_stats = result.channel_stats.data_ptr<T>();
  a.winners = result.winners.data_ptr<I>();
  const unsigned blocks = blocks_of(features, groups);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const int64_t bytes = groups.largest_size() * a.positions * int64_t{sizeof(T)};
  if (bytes <= kSharedBytes) {
    forward_kernel<S, I, true><<<blocks, kMcThreads, static_cast<size_t>(bytes), stream>>>(a);
  } else {
    forward_kernel<S, I, false><<<blocks, kMcThreads, 0, stream>>>(a);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace
}  // namespace mcloss
