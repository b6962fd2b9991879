// The coefficients of a block's channels: made by a thread per channel, kept by each thread for those of
// its packs.
#pragma once

#include <ATen/OpMathType.h>

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/walk.cuh"

namespace mcloss {
namespace {

// y before residual and ReLU; the mask is found again with the same instruction.
template <typename T>
__device__ T affine(T off, T scale, T shift) {
  return fma(off, scale, shift);
}

// What tells where the ReLU lets the gradient through: nothing (there is none), x once more, or y.
enum class Mask { none, from_x, from_y };

// The gradient where the ReLU lets it through, off = x - pivot. It is y as stored that counts, and NaN
// passes, as in LibTorch.
template <Mask kMask, typename S, typename T>
__device__ T masked_gradient(S grad, S y, T off, T scale, T shift) {
  const T value = static_cast<T>(grad);
  if constexpr (kMask == Mask::none) return value;
  const S there = kMask == Mask::from_y ? y : static_cast<S>(affine(off, scale, shift));
  return static_cast<T>(there) <= 0 ? T(0) : value;
}

// What the two passes of the backward read and write; y, masked: or null.
template <typename S>
struct Backward {
  const S *x, *grad, *y;
  S *grad_x, *masked;
  const double* saved;
};

// Calls make(channel in the block's tile, channel) in one thread for each.
template <typename Make>
__device__ void for_channels(const Cut& cut, const Make& make) {
  const int64_t channel = cut.first_channel() + threadIdx.x;
  if (threadIdx.x < cut.tile && channel < cut.channels) make(threadIdx.x, channel);
}

// One coefficient of the values of this thread's packs.
template <typename T, bool kByRows, int kCount>
struct Own {
  __device__ Own(const Cut& cut, const T* of_tile) {
    const int first = kByRows ? cut.own_column() * kCount : 0;
#pragma unroll
    for (int k = 0; k < kOwn; ++k) values[k] = of_tile[first + k];
  }
  __device__ T operator[](int k) const { return values[kByRows ? k : 0]; }

 private:
  static constexpr int kOwn = kByRows ? kCount : 1;
  T values[kOwn];
};

}  // namespace
}  // namespace mcloss
