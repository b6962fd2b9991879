// The fused MC-Loss on CUDA: the same results as mc_loss/loops.cpp, a block a (sample, class). Sums
// have a fixed order: the same input gives the same bits. Nothing waits for the device, and nothing but
// the results is allocated, so both passes can be captured in a graph.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include "ops/mc_loss/backward.cuh"
#include "ops/mc_loss/checks.h"
#include "ops/mc_loss/forward.cuh"
#include "ops/mc_loss/terms.cuh"

namespace mcloss {
namespace {

auto mc_loss_forward_cuda(const at::Tensor& features, const at::Tensor& target,
                          const MaybeTensor& mask, int64_t num_classes, double dis, double div,
                          double per_xi) {
  check_mc_loss(features, target, mask, num_classes, {dis, div, per_xi});
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const c10::cuda::CUDAGuard guard(features.device());
  const McForward result = empty_mc_forward(features, groups);
  const MaybeTensor masks = contiguous(mask);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_loss_forward", [&] {
        const bool wide = result.winners.scalar_type() == at::kInt;
        const auto launch =
            wide ? &launch_forward<scalar_t, int32_t> : &launch_forward<scalar_t, uint8_t>;
        launch(features, masks, groups, result);
        launch_terms<at::opmath_type<scalar_t>>(target, groups, factors, result);
      });
  return result.tuple();
}

at::Tensor mc_loss_backward_cuda(const MaybeTensor& grad_loss, const MaybeTensor& grad_dis,
                                 const MaybeTensor& grad_div, const MaybeTensor& grad_class_scores,
                                 const MaybeTensor& grad_diversity, const at::Tensor& features,
                                 const at::Tensor& winners, const at::Tensor& channel_stats,
                                 const at::Tensor& score_grad, int64_t num_classes, double dis,
                                 double div, double per_xi) {
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const c10::cuda::CUDAGuard guard(features.device());
  const at::Tensor grad = at::empty_like(features);
  const auto ready = [&](const MaybeTensor& value) {
    return value ? maybe(value->to(score_grad.scalar_type()).contiguous()) : std::nullopt;
  };
  const MaybeTensor given[] = {ready(grad_loss), ready(grad_dis), ready(grad_div),
                               ready(grad_class_scores), ready(grad_diversity)};
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_loss_backward", [&] {
        using T = at::opmath_type<scalar_t>;
        const Upstream<T> upstream{data_or_null<const T>(given[0]), data_or_null<const T>(given[1]),
                                   data_or_null<const T>(given[2]), data_or_null<const T>(given[3]),
                                   data_or_null<const T>(given[4])};
        const auto launch = winners.scalar_type() == at::kInt ? &launch_backward<scalar_t, int32_t>
                                                              : &launch_backward<scalar_t, uint8_t>;
        launch(features, grad, groups, factors, upstream, winners, channel_stats, score_grad);
      });
  return grad;
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) {
  m.impl("mc_loss_forward", &mc_loss_forward_cuda);
  m.impl("mc_loss_backward", &mc_loss_backward_cuda);
}

}  // namespace
}  // namespace mcloss
