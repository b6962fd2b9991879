// batch_norm_act on CUDA: the mathematics of batch_norm_act/loops.cpp, two passes over the values
// each way, a launch each: one to the sums (sums.cuh), one to the results (element_wise.cuh). Every order of
// adding is fixed: the same input gives the same bits. Nothing waits for the device, so that both
// passes can be recorded in a graph.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/element_wise.cuh"
#include "ops/batch_norm_act/parts.h"
#include "ops/batch_norm_act/semaphores.cuh"
#include "ops/batch_norm_act/sums.cuh"
#include "ops/kernel/packs.cuh"

namespace mcloss {
namespace {

using at::Tensor;

// Calls launch.operator()<kByRows, kCount>(): packs of kWide values if they lie within one channel, or
// over kWide channels of one row, and every pointer is aligned for them; else of one.
template <typename S, typename Launch>
void with_form(const BnLayout& layout, std::initializer_list<const void*> pointers,
               const Launch& launch) {
  const int64_t run = layout.by_rows ? layout.channels : layout.positions;
  const bool wide =
      run % kWide<S> == 0 && std::all_of(pointers.begin(), pointers.end(), is_aligned);
  if (layout.by_rows) {
    if (wide) return launch.template operator()<true, kWide<S>>();
    return launch.template operator()<true, 1>();
  }
  if (wide) return launch.template operator()<false, kWide<S>>();
  return launch.template operator()<false, 1>();
}

// What the kernels of the sums write and read besides: their partial results and the semaphores.
struct Scratch {
  Scratch(const Cut& cut, const Tensor& x)
      : results(
            at::empty({cut.tiles, cut.chunks, cut.tile, 2},
                      x.options().dtype(at::kDouble).memory_format(at::MemoryFormat::Contiguous))),
        zeros(semaphores(x, kSemaphores)) {}
  Partial* partial() const { return static_cast<Partial*>(results.data_ptr()); }
  unsigned* counters() const { return static_cast<unsigned*>(zeros.data_ptr()); }

 private:
  Tensor results, zeros;
};

template <typename S>
void launch_moments(const BnForward& call) {
  const Tensor& x = call.arguments.x;
  const BnLayout layout(x);
  const S* const values = x.const_data_ptr<S>();
  const auto stream = c10::cuda::getCurrentCUDAStream();
  with_form<S>(layout, {values}, [&]<bool kByRows, int kCount>() {
    const Cut cut(layout, kCount, kMomentsGrid);
    const Scratch scratch(cut, x);
    moments_kernel<S, kByRows, kCount><<<cut.grid(), kSumThreads, 0, stream>>>(
        cut, values, scratch.partial(), scratch.counters(), call.sums.data_ptr<double>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

template <typename S, bool kResidual>
void launch_normalize(const BnForward& call) {
  const BnArguments& a = call.arguments;
  const BnLayout layout(a.x);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const Forward<S> f{a.x.const_data_ptr<S>(), data_or_null<const S>(a.residual),
                     call.y.data_ptr<S>(), bn_statistics<at::opmath_type<S>>(call), a.relu};
  with_form<S>(layout, {f.x, f.residual, f.y}, [&]<bool kByRows, int kCount>() {
    const Cut cut(layout, kCount, kValueGrid);
    normalize_kernel<S, kResidual, kByRows, kCount>
        <<<cut.grid(), kValueThreads, 0, stream>>>(cut, f);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

template <typename S, Mask kMask>
void launch_grad_sums(const BnBackward& call, const Backward<S>& b) {
  using T = at::opmath_type<S>;
  const BnLayout layout(call.x);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  with_form<S>(layout, {b.x, b.grad, b.y, b.masked}, [&]<bool kByRows, int kCount>() {
    const Cut cut(layout, kCount, kGradSumsGrid);
    const Scratch scratch(cut, call.x);
    grad_sums_kernel<S, kMask, kByRows, kCount><<<cut.grid(), kSumThreads, 0, stream>>>(
        cut, b, scratch.partial(), scratch.counters(), call.sums.data_ptr<double>(),
        call.grad_weight.data_ptr<T>(), call.grad_bias.data_ptr<T>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

template <typename S, Mask kMask>
void launch_gradient(const BnBackward& call, const Backward<S>& b) {
  const BnLayout layout(call.x);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  with_form<S>(layout, {b.x, b.grad, b.y, b.grad_x}, [&]<bool kByRows, int kCount>() {
    const Cut cut(layout, kCount, kValueGrid);
    gradient_kernel<S, kMask, kByRows, kCount><<<cut.grid(), kValueThreads, 0, stream>>>(
        cut, b, call.sums.const_data_ptr<double>(), call.training);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

template <typename S, Mask kMask>
void launch_backward(const BnBackward& call) {
  Backward<S> b{call.x.const_data_ptr<S>(),
                call.grad.const_data_ptr<S>(),
                kMask == Mask::from_y ? call.y->const_data_ptr<S>() : nullptr,
                call.grad_x.defined() ? call.grad_x.data_ptr<S>() : nullptr,
                call.masked.defined() ? call.masked.data_ptr<S>() : nullptr,
                call.saved.const_data_ptr<double>()};
  if (call.takes_sums) launch_grad_sums<S, kMask>(call, b);
  if (!b.grad_x) return;
  if (!b.masked) return launch_gradient<S, kMask>(call, b);
  // Once `masked` is written it stands for the gradient and its ReLU.
  b.grad = b.masked;
  b.y = nullptr;
  launch_gradient<S, Mask::none>(call, b);
}

template <typename S>
void launch_backward(const BnBackward& call) {
  if (!call.relu) return launch_backward<S, Mask::none>(call);
  if (!call.y) return launch_backward<S, Mask::from_x>(call);
  launch_backward<S, Mask::from_y>(call);
}

struct Cuda {
  static void forward(const BnForward& call) {
    const at::Tensor& x = call.arguments.x;
    const c10::cuda::CUDAGuard guard(x.device());
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "batch_norm_act",
                                    [&] {
                                      if (call.takes_sums) launch_moments<scalar_t>(call);
                                      if (!call.y.defined()) return;
                                      if (call.arguments.residual)
                                        return launch_normalize<scalar_t, true>(call);
                                      launch_normalize<scalar_t, false>(call);
                                    });
  }
  static void backward(const BnBackward& call) {
    const c10::cuda::CUDAGuard guard(call.x.device());
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, call.x.scalar_type(),
                                    "batch_norm_act_backward",
                                    [&] { launch_backward<scalar_t>(call); });
  }
};

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) { bn_register<Cuda>(m); }

}  // namespace
}  // namespace mcloss
