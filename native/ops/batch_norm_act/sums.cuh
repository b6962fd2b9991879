// The first pass of batch_norm_act over the values, forward and backward: the sums of each channel.
//
// Each block's sums are of x - (the first value of its chunk), in float32 for all but float64, and so are
// far from cancelling where the mean is many standard deviations; from there on they are double. With
// u = 2^-24 and that value within z standard deviations of the mean, the variance's relative error is a
// few u * (1 + z^2). The chunks' means are merged as differences from the first one's.
#pragma once

#include <ATen/OpMathType.h>

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/coefficients.cuh"
#include "ops/batch_norm_act/merge.cuh"
#include "ops/batch_norm_act/walk.cuh"

namespace mcloss {
namespace {

// sums: double [3, C], the moments.
template <typename S, bool kByRows, int kCount>
__global__ void __launch_bounds__(kSumThreads, 2)
    moments_kernel(const Cut cut, const S* x, Partial* partial, unsigned* semaphores,
                   double* sums) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  constexpr int kAtOnce = 4;
  Walk<kByRows> walk(cut);
  P start = reinterpret_cast<const P*>(x)[walk.first];
  if constexpr (!kByRows) {
    for (int k = 1; k < kCount; ++k) start.value[k] = start.value[0];
  }
  T sum[kCount] = {}, squares[kCount] = {};
  while (walk.more()) {
    P values[kAtOnce];
    const Batch<kAtOnce> batch(cut, walk);
    batch.read(x, values);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (!batch.here[i]) values[i] = start;  // adds nothing
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const T off = static_cast<T>(values[i].value[k]) - static_cast<T>(start.value[k]);
        sum[k] += off;
        squares[k] += off * off;
      }
    }
  }
  Partial* const of_tile = partial + blockIdx.x * cut.chunks * cut.tile;
  const auto count_of = [&](int64_t chunk) {
    return static_cast<double>(cut.length_of(chunk) * (kByRows ? 1 : kCount));
  };
  sum_over_block<kByRows>(cut, sum, squares, [&](int channel, double off, double square) {
    const int64_t first =
        kByRows ? blockIdx.y * cut.chunk * cut.channels + cut.first_channel() : walk.first * kCount;
    const double mean = off / count_of(blockIdx.y), m2 = square - off * mean;
    of_tile[blockIdx.y * cut.tile + channel] = {static_cast<T>(x[first + channel]) + mean,
                                                m2 < 0 ? 0 : m2};
  });
  if (!is_last(semaphores)) return;
  merge_chunks(
      cut, of_tile,
      [&](int chunk, int channel, const Partial& of_chunk) {
        const double n = count_of(chunk), off = of_chunk.a - of_tile[channel].a;
        return Partial{n * off, of_chunk.b + n * off * off};
      },
      [&](int channel, const Partial& total) {
        const double count = static_cast<double>(cut.count), off = total.a / count;
        const double m2 = total.b - total.a * off;
        const BnMomentsOfOne all{count, of_tile[channel].a + off, m2 < 0 ? 0 : m2};
        all.write(sums, cut.first_channel() + channel, cut.channels);
      });
}

// sums: double [3, C], as batch_norm_act_backward_sums gives them.
template <typename S, Mask kMask, bool kByRows, int kCount>
__global__ void __launch_bounds__(kSumThreads, 1)
    grad_sums_kernel(const Cut cut, const Backward<S> b, Partial* partial, unsigned* semaphores,
                     double* sums, at::opmath_type<S>* grad_weight, at::opmath_type<S>* grad_bias) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  using OfThread = Own<T, kByRows, kCount>;
  constexpr int kAtOnce = 2;
  __shared__ T coefficients[kShift + 1][kMostTile];
  for_channels(cut, [&](int channel, int64_t c) {
    BnChannel<T>{&coefficients[0][channel], kMostTile}.take(
        BnStatistics<T>::read(b.saved, c, cut.channels));
  });
  __syncthreads();
  const OfThread pivot(cut, coefficients[kPivot]), scale(cut, coefficients[kScale]),
      shift(cut, coefficients[kShift]);
  T sum[kCount] = {}, product[kCount] = {};
  for (Walk<kByRows> walk(cut); walk.more();) {
    P x[kAtOnce], grad[kAtOnce], y[kAtOnce];
    const Batch<kAtOnce> batch(cut, walk);
    batch.read(b.x, x);
    batch.read(b.grad, grad);
    if constexpr (kMask == Mask::from_y) batch.read(b.y, y);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (!batch.here[i]) grad[i] = P{};  // adds nothing
      P masked;
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const T off = static_cast<T>(x[i].value[k]) - pivot[k];
        const T g =
            masked_gradient<kMask>(grad[i].value[k], y[i].value[k], off, scale[k], shift[k]);
        masked.value[k] = static_cast<S>(g);
        sum[k] += g;
        product[k] += g * off;
      }
      if (b.masked) batch.write(b.masked, i, masked);
    }
  }
  Partial* const of_tile = partial + blockIdx.x * cut.chunks * cut.tile;
  sum_over_block<kByRows>(cut, sum, product, [&](int channel, double a, double b) {
    of_tile[blockIdx.y * cut.tile + channel] = {a, b};
  });
  if (!is_last(semaphores)) return;
  merge_chunks(
      cut, of_tile, [&](int, int, const Partial& of_chunk) { return of_chunk; },
      [&](int channel, const Partial& total) {
        const int64_t c = cut.first_channel() + channel;
        const BnGradSumsOfOne all{static_cast<double>(cut.count), total.a, total.b};
        all.write(sums, c, cut.channels);
        grad_weight[c] =
            static_cast<T>(BnStatistics<T>::read(b.saved, c, cut.channels).weighted(all));
        grad_bias[c] = static_cast<T>(all.sum);
      });
}

}  // namespace
}  // namespace mcloss
