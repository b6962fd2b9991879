// batch_norm_act on CUDA: the mathematics of batch_norm_act/loops.cpp, two passes over the values
// each way: one to the sums (sums.cuh, channels.cuh), one to the results. No atomics: the same input
// gives the same bits. Nothing waits for the device, so that both passes can be captured in a graph.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "ops/batch_norm_act/channels.cuh"
#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/sums.cuh"
#include "ops/kernel/packs.cuh"

namespace mcloss {
namespace {

using at::Tensor;

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
    const auto of = [&](BnCoefficient which) { return b.at(which, channel, shape.channels); };
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
  return at::empty({kBnCoefficients, shape.channels},
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
  const Statistics<T> statistics{data_or_null<const T>(a.weight),
                                 data_or_null<const T>(a.bias),
                                 data_or_null<T>(a.running_mean),
                                 data_or_null<T>(a.running_var),
                                 a.training,
                                 a.momentum,
                                 a.eps,
                                 coefficients.data_ptr<T>(),
                                 saved.data_ptr<double>()};
  statistics_kernel<T><<<channel_blocks(shape), kChannelThreads, 0, stream>>>(
      shape, statistics, data_or_null<const double>(partial));
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
