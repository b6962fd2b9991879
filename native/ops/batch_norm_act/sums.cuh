// The sums over the values of each channel: a block a chunk of a few channels.
#pragma once

#include <ATen/OpMathType.h>
#include <ATen/ceil_div.h>

#include <algorithm>
#include <cstdint>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"

namespace mcloss {
namespace {

// A block of the sums: 32 channels x 8 rows by rows, else 256 values of one channel.
constexpr int kTile = 32, kTileRows = 8, kThreads = kTile * kTileRows;
// About this many blocks sum: several a multiprocessor. A function of the shape alone, so that no
// result depends on the device.
constexpr int64_t kSumBlocks = 1024;

// The values as chunks: by rows, of whole rows; else of values of one channel.
struct Shape {
  explicit Shape(const BnLayout& layout)
      : channels(layout.channels),
        positions(layout.positions),
        count(layout.count()),
        by_rows(layout.by_rows),
        tiles(by_rows ? at::ceil_div<int64_t>(channels, kTile) : channels) {
    const int64_t smallest = by_rows ? 8 * kTileRows : 8 * kThreads;
    const int64_t wanted = std::clamp<int64_t>(kSumBlocks / tiles, 1, 256);
    chunk = std::max(at::ceil_div(count, wanted), smallest);
    chunks = at::ceil_div(count, chunk);
  }
  int64_t channels, positions, count;  // count: values a channel
  bool by_rows;
  int64_t tiles, chunk, chunks;

  // Where value `index` of a channel is.
  __device__ int64_t at(int64_t index, int64_t channel) const {
    if (by_rows) return index * channels + channel;
    return (index / positions * channels + channel) * positions + index % positions;
  }
  __device__ int64_t channel_of(int64_t place) const {
    return by_rows ? place % channels : place / positions % channels;
  }
  __device__ int64_t size_of(int64_t index) const { return min(chunk, count - index * chunk); }
};

// y before residual and ReLU; the mask is found again with the same instruction.
template <typename T>
__device__ T affine(T off, T scale, T shift) {
  return fma(off, scale, shift);
}

// NaN passes the ReLU, as in LibTorch.
template <typename S, typename T>
__device__ T masked(T grad, T y) {
  return static_cast<T>(static_cast<S>(y)) <= 0 ? T(0) : grad;
}

struct Moments {
  double count, mean, m2;
  __device__ void merge(const Moments& other) {
    const double all = count + other.count;
    if (other.count == 0) return;
    const double apart = other.mean - mean, share = other.count / all;
    mean += apart * share;
    m2 += other.m2 + apart * apart * count * share;
    count = all;
  }
};
struct Sums {
  double sum, product;
  __device__ void merge(const Sums& other) {
    sum += other.sum;
    product += other.product;
  }
};

// Calls add(place, channel) for this thread's values of the block's chunk, merges what result() then
// gives over the threads of each channel, in order, and hands it to write(channel, total).
template <typename Total, typename Add, typename Result, typename Write>
__device__ void sum_chunk(const Shape& shape, const Add& add, const Result& result,
                          const Write& write) {
  __shared__ Total totals[kThreads];
  const int column = threadIdx.x % kTile;
  const int64_t channel = shape.by_rows ? blockIdx.x * int64_t{kTile} + column : blockIdx.x;
  const int64_t begin = blockIdx.y * shape.chunk;
  const int64_t end = min(begin + shape.chunk, shape.count);
  const int first = shape.by_rows ? threadIdx.x / kTile : threadIdx.x;
  const int step = shape.by_rows ? kTileRows : kThreads;
  if (channel < shape.channels) {
    for (int64_t i = begin + first; i < end; i += step) add(shape.at(i, channel), channel);
  }
  totals[threadIdx.x] = result();
  // By rows the threads of a channel are kTile apart.
  const int nearest = shape.by_rows ? kTile : 1;
  for (int distance = kThreads / 2; distance >= nearest; distance /= 2) {
    __syncthreads();
    if (threadIdx.x < distance) totals[threadIdx.x].merge(totals[threadIdx.x + distance]);
  }
  if (static_cast<int>(threadIdx.x) < nearest && channel < shape.channels) {
    write(channel, totals[threadIdx.x]);
  }
}

// partial: double [chunks, 2, C].
template <typename S>
__global__ void __launch_bounds__(kThreads)
    moments_kernel(Shape shape, const S* x, double* partial) {
  using T = at::opmath_type<S>;
  T count = 0, pivot = 0, sum = 0, squares = 0;
  sum_chunk<Moments>(
      shape,
      [&](int64_t place, int64_t) {
        const T value = static_cast<T>(x[place]);
        if (count == 0) pivot = value;
        const T off = value - pivot;
        count += 1;
        sum += off;
        squares += off * off;
      },
      [&] {
        if (count == 0) return Moments{0, 0, 0};
        const double n = count, mean = sum / n, m2 = squares - sum * mean;
        return Moments{n, pivot + mean, m2 < 0 ? 0 : m2};
      },
      [&](int64_t channel, const Moments& total) {
        double* const to = partial + blockIdx.y * 2 * shape.channels + channel;
        to[0] = total.mean;
        to[shape.channels] = total.m2;
      });
}

template <typename S>
struct Backward {
  using T = at::opmath_type<S>;
  const S *x, *grad, *y;  // y: or null
  S *grad_x, *masked;     // masked: or null
  const T* coefficients;
  bool relu;

  __device__ T at(BnCoefficient which, int64_t channel, int64_t channels) const {
    return coefficients[which * channels + channel];
  }
  // The gradient where the ReLU lets it through.
  __device__ T gradient(T grad, T off, T y_value, T scale, T shift) const {
    if (!relu) return grad;
    return mcloss::masked<S>(grad, y ? y_value : affine(off, scale, shift));
  }
};

template <typename S>
__global__ void __launch_bounds__(kThreads)
    sums_kernel(Shape shape, Backward<S> b, double* partial) {
  using T = at::opmath_type<S>;
  T sum = 0, product = 0;
  sum_chunk<Sums>(
      shape,
      [&](int64_t place, int64_t channel) {
        const T off = static_cast<T>(b.x[place]) - b.at(kPivot, channel, shape.channels);
        const T g = b.gradient(
            static_cast<T>(b.grad[place]), off, b.y ? static_cast<T>(b.y[place]) : T(0),
            b.at(kScale, channel, shape.channels), b.at(kShift, channel, shape.channels));
        if (b.masked) b.masked[place] = static_cast<S>(g);
        sum += g;
        product += g * off;
      },
      [&] { return Sums{sum, product}; },
      [&](int64_t channel, const Sums& total) {
        double* const to = partial + blockIdx.y * 2 * shape.channels + channel;
        to[0] = total.sum;
        to[shape.channels] = total.product;
      });
}

}  // namespace
}  // namespace mcloss
