// batch_norm_act on CUDA: the mathematics of batch_norm_act/loops.cpp, two passes over the values
// each way. A block sums a chunk of a few channels; one thread a channel then merges the chunks in
// order, in double. No atomics: the same input gives the same bits. Nothing waits for the device, so
// that both passes can be captured in a graph.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

#include "ops/batch_norm_act/checks.h"
#include "ops/kernel/packs.cuh"

namespace mcloss {
namespace {

using at::Tensor;

// A block of the sums: 32 channels x 8 rows by rows, else 256 values of one channel.
constexpr int kTile = 32, kTileRows = 8, kThreads = kTile * kTileRows;
constexpr int kChannelThreads = 128;
// About this many blocks sum: several a multiprocessor. A function of the shape alone, so that no
// result depends on the device.
constexpr int64_t kSumBlocks = 1024;

// Rows of the coefficients, T [kCoefficients, C].
enum Coefficient { kPivot, kScale, kShift, kGradScale, kXScale, kGradShift, kCoefficients };

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

// ---- sums ----

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

  __device__ T at(Coefficient which, int64_t channel, int64_t channels) const {
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

// ---- a thread a channel ----

template <typename T>
struct Channel {
  const T *weight, *bias;         // or null
  T *running_mean, *running_var;  // or null
  bool training;
  double momentum, eps;
  T* coefficients;
  double* saved;
};

template <typename T>
__global__ void statistics_kernel(Shape shape, Channel<T> c, const double* partial) {
  const int64_t channel = blockIdx.x * int64_t{kChannelThreads} + threadIdx.x;
  const int64_t channels = shape.channels;
  if (channel >= channels) return;
  double mean, var;
  if (c.training) {
    Moments all{0, 0, 0};
    for (int64_t i = 0; i < shape.chunks; ++i) {
      const double* const of_chunk = partial + i * 2 * channels + channel;
      all.merge({static_cast<double>(shape.size_of(i)), of_chunk[0], of_chunk[channels]});
    }
    mean = all.mean;
    var = all.m2 / all.count;
    const auto move = [&](T* running, double towards) {
      if (!running) return;
      running[channel] = static_cast<T>((1 - c.momentum) * running[channel] + c.momentum * towards);
    };
    move(c.running_mean, mean);
    move(c.running_var, all.m2 / (all.count - 1));
  } else {
    mean = c.running_mean[channel];
    var = c.running_var[channel];
  }
  const double inv_std = 1 / sqrt(var + c.eps);
  const T pivot = static_cast<T>(mean);
  const T scale = static_cast<T>((c.weight ? c.weight[channel] : T(1)) * inv_std);
  const T shift = static_cast<T>((c.bias ? c.bias[channel] : T(0)) - (mean - pivot) * scale);
  c.coefficients[kPivot * channels + channel] = pivot;
  c.coefficients[kScale * channels + channel] = scale;
  c.coefficients[kShift * channels + channel] = shift;
  c.saved[kSavedMean * channels + channel] = mean;
  c.saved[kSavedInvStd * channels + channel] = inv_std;
  c.saved[kSavedScale * channels + channel] = scale;
  c.saved[kSavedShift * channels + channel] = shift;
}

template <typename T>
__global__ void restore_kernel(int64_t channels, const double* saved, T* coefficients) {
  const int64_t channel = blockIdx.x * int64_t{kChannelThreads} + threadIdx.x;
  if (channel >= channels) return;
  const auto take = [&](Coefficient to, BnSaved from) {
    coefficients[to * channels + channel] = static_cast<T>(saved[from * channels + channel]);
  };
  take(kPivot, kSavedMean);
  take(kScale, kSavedScale);
  take(kShift, kSavedShift);
}

template <typename T>
__global__ void grad_sums_kernel(Shape shape, const double* saved, bool training,
                                 const double* partial, T* coefficients, T* grad_weight,
                                 T* grad_bias) {
  const int64_t channel = blockIdx.x * int64_t{kChannelThreads} + threadIdx.x;
  const int64_t channels = shape.channels;
  if (channel >= channels) return;
  Sums all{0, 0};
  for (int64_t i = 0; i < shape.chunks; ++i) {
    const double* const of_chunk = partial + i * 2 * channels + channel;
    all.merge({of_chunk[0], of_chunk[channels]});
  }
  const double inv_std = saved[kSavedInvStd * channels + channel];
  const double scale = saved[kSavedScale * channels + channel];
  const double rest =
      saved[kSavedMean * channels + channel] - coefficients[kPivot * channels + channel];
  const double weighted = (all.product - rest * all.sum) * inv_std;  // of g * xhat
  grad_weight[channel] = static_cast<T>(weighted);
  grad_bias[channel] = static_cast<T>(all.sum);
  const auto n = static_cast<double>(shape.count);
  const double x_scale = training ? -scale * inv_std * weighted / n : 0;
  const double grad_shift = training ? -scale * all.sum / n - x_scale * rest : 0;
  coefficients[kGradScale * channels + channel] = static_cast<T>(scale);
  coefficients[kXScale * channels + channel] = static_cast<T>(x_scale);
  coefficients[kGradShift * channels + channel] = static_cast<T>(grad_shift);
}

// ---- a thread kCount values that follow one another ----

template <typename S, int kCount>
__global__ void normalize_kernel(Shape shape, int64_t packs, const S* x, const S* residual, S* y,
                                 const at::opmath_type<S>* coefficients, bool relu) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= packs) return;
  const P from = reinterpret_cast<const P*>(x)[i];
  const P add = residual ? reinterpret_cast<const P*>(residual)[i] : P{};
  const int64_t first = shape.channel_of(i * kCount);
  P to;
  for (int k = 0; k < kCount; ++k) {
    const T* const of = coefficients + first + (shape.by_rows ? k : 0);
    T value = affine(static_cast<T>(from.value[k]) - of[kPivot * shape.channels],
                     of[kScale * shape.channels], of[kShift * shape.channels]);
    if (residual) value += static_cast<T>(add.value[k]);
    to.value[k] = static_cast<S>(relu && value < 0 ? T(0) : value);
  }
  reinterpret_cast<P*>(y)[i] = to;
}

template <typename S, int kCount>
__global__ void gradient_kernel(Shape shape, int64_t packs, Backward<S> b) {
  using T = at::opmath_type<S>;
  using P = Pack<S, kCount>;
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= packs) return;
  const P x = reinterpret_cast<const P*>(b.x)[i], grad = reinterpret_cast<const P*>(b.grad)[i];
  const P y = b.y ? reinterpret_cast<const P*>(b.y)[i] : P{};
  const int64_t first = shape.channel_of(i * kCount);
  P to;
  for (int k = 0; k < kCount; ++k) {
    const int64_t channel = first + (shape.by_rows ? k : 0);
    const auto of = [&](Coefficient which) { return b.at(which, channel, shape.channels); };
    const T off = static_cast<T>(x.value[k]) - of(kPivot);
    const T g = b.gradient(static_cast<T>(grad.value[k]), off, static_cast<T>(y.value[k]),
                           of(kScale), of(kShift));
    to.value[k] = static_cast<S>(fma(g, of(kGradScale), fma(off, of(kXScale), of(kGradShift))));
  }
  reinterpret_cast<P*>(b.grad_x)[i] = to;
}

// ---- launches ----

dim3 sum_blocks(const Shape& shape) {
  return {static_cast<unsigned>(shape.tiles), static_cast<unsigned>(shape.chunks)};
}
unsigned channel_blocks(const Shape& shape) {
  return static_cast<unsigned>(at::ceil_div<int64_t>(shape.channels, kChannelThreads));
}
unsigned pack_blocks(int64_t packs) {
  return static_cast<unsigned>(at::ceil_div<int64_t>(packs, kThreads));
}

// Whether packs of kWide values lie within one channel, or over kWide channels of one row, and every
// pointer is aligned for them.
template <typename S>
bool takes_packs(const Shape& shape, std::initializer_list<const void*> pointers) {
  const int64_t run = shape.by_rows ? shape.channels : shape.positions;
  return run % kWide<S> == 0 && std::all_of(pointers.begin(), pointers.end(), is_aligned);
}

Tensor empty_partial(const Shape& shape, const Tensor& x) {
  return at::empty({shape.chunks, 2, shape.channels},
                   x.options().dtype(at::kDouble).memory_format(at::MemoryFormat::Contiguous));
}

Tensor empty_coefficients(const Shape& shape, const Tensor& x) {
  return at::empty({kCoefficients, shape.channels},
                   x.options()
                       .dtype(accumulate_type(x.scalar_type()))
                       .memory_format(at::MemoryFormat::Contiguous));
}

template <typename S>
void launch_forward(const BnArguments& a, const Tensor& y, const Tensor& saved) {
  using T = at::opmath_type<S>;
  const Shape shape{BnLayout(a.x)};
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const S* const x = a.x.const_data_ptr<S>();
  const MaybeTensor partial = a.training ? maybe(empty_partial(shape, a.x)) : std::nullopt;
  if (a.training) {
    moments_kernel<S>
        <<<sum_blocks(shape), kThreads, 0, stream>>>(shape, x, partial->data_ptr<double>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  const Tensor coefficients = empty_coefficients(shape, a.x);
  const Channel<T> channel{data_or_null<const T>(a.weight),
                           data_or_null<const T>(a.bias),
                           data_or_null<T>(a.running_mean),
                           data_or_null<T>(a.running_var),
                           a.training,
                           a.momentum,
                           a.eps,
                           coefficients.data_ptr<T>(),
                           saved.data_ptr<double>()};
  statistics_kernel<T><<<channel_blocks(shape), kChannelThreads, 0, stream>>>(
      shape, channel, data_or_null<const double>(partial));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const S* const residual = data_or_null<const S>(a.residual);
  const bool wide = takes_packs<S>(shape, {x, residual, y.const_data_ptr()});
  const int64_t packs = a.x.numel() / (wide ? kWide<S> : 1);
  const auto kernel = wide ? &normalize_kernel<S, kWide<S>> : &normalize_kernel<S, 1>;
  kernel<<<pack_blocks(packs), kThreads, 0, stream>>>(shape, packs, x, residual, y.data_ptr<S>(),
                                                      coefficients.const_data_ptr<T>(), a.relu);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

ForwardResult batch_norm_act_forward_cuda(const Tensor& given_x, const MaybeTensor& residual,
                                          const MaybeTensor& weight, const MaybeTensor& bias,
                                          const MaybeTensor& running_mean,
                                          const MaybeTensor& running_var, bool training,
                                          double momentum, double eps, bool relu) {
  BnArguments arguments{given_x,     residual, weight,   bias, running_mean,
                        running_var, training, momentum, eps,  relu};
  check_batch_norm_act(arguments);
  const c10::cuda::CUDAGuard guard(given_x.device());
  arguments.x = bn_laid_out(given_x);
  arguments.residual = bn_laid_out_as(arguments.x, residual);
  arguments.weight = contiguous(weight);
  arguments.bias = contiguous(bias);
  const Tensor y = at::empty_like(arguments.x), saved = empty_bn_saved(given_x);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, given_x.scalar_type(),
                                  "batch_norm_act_forward",
                                  [&] { launch_forward<scalar_t>(arguments, y, saved); });
  if (training) bn_running_moved(arguments);
  return {y, saved};
}

template <typename S>
void launch_backward(Backward<S> b, const Tensor& x, const Tensor& saved, bool training,
                     const Tensor& grad_weight, const Tensor& grad_bias) {
  using T = at::opmath_type<S>;
  const Shape shape{BnLayout(x)};
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const Tensor coefficients = empty_coefficients(shape, x), partial = empty_partial(shape, x);
  T* const values = coefficients.data_ptr<T>();
  b.coefficients = values;
  const double* const from = saved.const_data_ptr<double>();
  restore_kernel<T>
      <<<channel_blocks(shape), kChannelThreads, 0, stream>>>(shape.channels, from, values);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  sums_kernel<S><<<sum_blocks(shape), kThreads, 0, stream>>>(shape, b, partial.data_ptr<double>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  grad_sums_kernel<T><<<channel_blocks(shape), kChannelThreads, 0, stream>>>(
      shape, from, training, partial.const_data_ptr<double>(), values, grad_weight.data_ptr<T>(),
      grad_bias.data_ptr<T>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  // Once `masked` is written it stands for the gradient and its ReLU.
  if (b.masked) {
    b.grad = b.masked;
    b.relu = false;
    b.y = nullptr;
  }
  const bool wide = takes_packs<S>(shape, {b.x, b.grad, b.y, b.grad_x});
  const int64_t packs = x.numel() / (wide ? kWide<S> : 1);
  const auto kernel = wide ? &gradient_kernel<S, kWide<S>> : &gradient_kernel<S, 1>;
  kernel<<<pack_blocks(packs), kThreads, 0, stream>>>(shape, packs, b);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

BackwardResult batch_norm_act_backward_cuda(const Tensor& given_grad, const Tensor& given_x,
                                            const MaybeTensor& given_y, const Tensor& saved,
                                            bool training, bool relu, bool grad_residual) {
  const c10::cuda::CUDAGuard guard(given_x.device());
  const Tensor x = bn_laid_out(given_x), grad = bn_laid_out_as(x, given_grad);
  const MaybeTensor y = bn_laid_out_as(x, given_y);
  const auto [grad_x, grad_weight, grad_bias, masked] = empty_bn_gradients(x, grad_residual);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, x.scalar_type(), "batch_norm_act_backward", [&] {
        const Backward<scalar_t> b{x.const_data_ptr<scalar_t>(),
                                   grad.const_data_ptr<scalar_t>(),
                                   data_or_null<const scalar_t>(y),
                                   grad_x.data_ptr<scalar_t>(),
                                   grad_residual ? masked.data_ptr<scalar_t>() : nullptr,
                                   nullptr,
                                   relu};
        launch_backward<scalar_t>(b, x, saved, training, grad_weight, grad_bias);
      });
  return {grad_x, grad_weight, grad_bias, masked};
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) {
  m.impl("batch_norm_act_forward", &batch_norm_act_forward_cuda);
  m.impl("batch_norm_act_backward", &batch_norm_act_backward_cuda);
}

}  // namespace
}  // namespace mcloss
