// The second pass of batch_norm_act over the values, forward and backward, a pack at a time. Each block
// makes the coefficients of its channels itself.
#pragma once

#include <ATen/OpMathType.h>

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/coefficients.cuh"
#include "ops/batch_norm_act/sums.cuh"
#include "ops/batch_norm_act/walk.cuh"

namespace mcloss {
namespace {

constexpr int kValueThreads = 256;
constexpr Wanted kValueGrid{kValueThreads, 2048, 65535, 4};

template <typename S>
struct Forward {
  const S *x, *residual;  // residual: or null
  S* y;
  BnStatisticsOfAll<at::opmath_type<S>> statistics;
  bool relu;
};

template <typename S, bool kResidual, bool kByRows, int kCount>
__global__ void __launch_bounds__(kValueThreads, 3)
    normalize_kernel(const Cut cut, const Forward<S> f) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  constexpr int kAtOnce = kResidual ? 2 : 4;
  __shared__ T coefficients[kShift + 1][kMostTile];
  for_channels(cut, [&](int channel, int64_t c) {
    const auto statistics = f.statistics.of(c);
    BnChannel<T>{&coefficients[0][channel], kMostTile}.take(statistics);
    if (blockIdx.y == 0) f.statistics.keep(statistics, c);
  });
  __syncthreads();
  const Own<T, kByRows, kCount> pivot(cut, coefficients[kPivot]), scale(cut, coefficients[kScale]),
      shift(cut, coefficients[kShift]);
  for (Walk<kByRows> walk(cut); walk.more();) {
    P x[kAtOnce], residual[kAtOnce];
    const Batch<kAtOnce> batch(cut, walk);
    batch.read(f.x, x);
    if constexpr (kResidual) batch.read(f.residual, residual);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      P y;
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        T value = affine(static_cast<T>(x[i].value[k]) - pivot[k], scale[k], shift[k]);
        if constexpr (kResidual) value += static_cast<T>(residual[i].value[k]);
        y.value[k] = static_cast<S>(f.relu && value < 0 ? T(0) : value);
      }
      batch.write(f.y, i, y);
    }
  }
}

// training: the mean and the variance depend on x.
template <typename S, Mask kMask, bool kByRows, int kCount>
__global__ void __launch_bounds__(kValueThreads, 3)
    gradient_kernel(const Cut cut, const Backward<S> b, const double* sums, bool training) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  using OfThread = Own<T, kByRows, kCount>;
  constexpr int kAtOnce = 2;
  __shared__ T coefficients[kBnCoefficients][kMostTile];
  for_channels(cut, [&](int channel, int64_t c) {
    const auto statistics = BnStatistics<T>::read(b.saved, c, cut.channels);
    const BnChannel<T> to{&coefficients[0][channel], kMostTile};
    to.take(statistics);
    to.take_sums(statistics, BnGradSumsOfOne::read(sums, c, cut.channels), training);
  });
  __syncthreads();
  const OfThread pivot(cut, coefficients[kPivot]), scale(cut, coefficients[kScale]),
      shift(cut, coefficients[kShift]), x_scale(cut, coefficients[kXScale]),
      grad_shift(cut, coefficients[kGradShift]);  // grad_scale is scale
  for (Walk<kByRows> walk(cut); walk.more();) {
    P x[kAtOnce], grad[kAtOnce], y[kAtOnce];
    const Batch<kAtOnce> batch(cut, walk);
    batch.read(b.x, x);
    batch.read(b.grad, grad);
    if constexpr (kMask == Mask::from_y) batch.read(b.y, y);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      P to;
#pragma unroll
      for (int k = 0; k < kCount; ++k) {
        const T off = static_cast<T>(x[i].value[k]) - pivot[k];
        const T g =
            masked_gradient<kMask>(grad[i].value[k], y[i].value[k], off, scale[k], shift[k]);
        to.value[k] = static_cast<S>(fma(g, scale[k], fma(off, x_scale[k], grad_shift[k])));
      }
      batch.write(b.grad_x, i, to);
    }
  }
}

}  // namespace
}  // namespace mcloss
