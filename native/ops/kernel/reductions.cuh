// Reductions over a warp and a block, in a fixed order: the same input gives the same bits.
#pragma once

#include <limits>

namespace mcloss {
namespace {

constexpr int kWarp = 32;

template <typename T>
__device__ T warp_sum(T value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

template <typename T>
__device__ T infinity() {
  return std::numeric_limits<T>::infinity();
}

// NaN is left out.
template <typename T>
__device__ T warp_max(T value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, value, distance);
    value = other > value ? other : value;
  }
  return value;
}

// The sum over the block, in thread 0. room: one value a warp.
template <typename T, int kBlockThreads>
__device__ T block_sum(T value, T* room) {
  value = warp_sum(value);
  __syncthreads();  // room may still be read
  if (threadIdx.x % kWarp == 0) room[threadIdx.x / kWarp] = value;
  __syncthreads();
  T sum = 0;
  if (threadIdx.x == 0) {
    for (int warp = 0; warp < kBlockThreads / kWarp; ++warp) sum += room[warp];
  }
  return sum;
}

}  // namespace
}  // namespace mcloss
