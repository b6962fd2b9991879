// The operators of the MC-Loss, how they reach their kernels, and their derivative:
//   mcloss::mc_loss            what users call; differentiable
//   mcloss::mc_loss_forward    the fused kernels: mc_loss/cpu.cpp, cuda.cu
//   mcloss::mc_loss_backward
//   mcloss::mc_loss_reference  composed of LibTorch's operators: mc_loss/reference.cpp
// Autocast: the operator takes features in whatever dtype they come and sums in float32 or more, so
// it has no rule of its own: under autocast it computes what it computes without.
#include "ops/mc_loss.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/mc_loss/checks.h"

namespace mcloss {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using FiveTensors = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;
using EightTensors = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

EightTensors mc_loss_forward(const Tensor& features, const Tensor& target, const MaybeTensor& mask,
                             int64_t num_classes, double dis, double div, double per_xi) {
  static const auto op =
      find_operator<EightTensors(const Tensor&, const Tensor&, const MaybeTensor&, int64_t, double,
                                 double, double)>("mcloss::mc_loss_forward");
  return op.call(features, target, mask, num_classes, dis, div, per_xi);
}

Tensor mc_loss_backward(const variable_list& gradients, const variable_list& saved,
                        int64_t num_classes, double dis, double div, double per_xi) {
  static const auto op =
      find_operator<Tensor(const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
                           const MaybeTensor&, const MaybeTensor&, const Tensor&, const Tensor&,
                           const Tensor&, const Tensor&, int64_t, double, double, double)>(
          "mcloss::mc_loss_backward");
  return op.call(maybe(gradients[0]), maybe(gradients[1]), maybe(gradients[2]), maybe(gradients[3]),
                 maybe(gradients[4]), saved[0], saved[1], saved[2], saved[3], num_classes, dis, div,
                 per_xi);
}

struct McLossFunction : torch::autograd::Function<McLossFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& features,
                               const Tensor& target, const MaybeTensor& mask, int64_t num_classes,
                               double dis, double div, double per_xi) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const auto [loss, loss_dis, loss_div, class_scores, diversity, winners, channel_stats,
                score_grad] =
        mc_loss_forward(features, target, mask, num_classes, dis, div, per_xi);
    context->save_for_backward({features, winners, channel_stats, score_grad});
    context->set_materialize_grads(false);
    context->saved_data["num_classes"] = num_classes;
    context->saved_data["dis"] = dis;
    context->saved_data["div"] = div;
    context->saved_data["per_xi"] = per_xi;
    return {loss, loss_dis, loss_div, class_scores, diversity};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    auto& data = context->saved_data;
    const Tensor grad =
        mc_loss_backward(gradients, context->get_saved_variables(), data["num_classes"].toInt(),
                         data["dis"].toDouble(), data["div"].toDouble(), data["per_xi"].toDouble());
    return {grad, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

FiveTensors mc_loss_autograd(const Tensor& features, const Tensor& target, const MaybeTensor& mask,
                             int64_t num_classes, double dis, double div, double per_xi) {
  const variable_list results =
      McLossFunction::apply(features, target, mask, num_classes, dis, div, per_xi);
  return {results[0], results[1], results[2], results[3], results[4]};
}

FiveTensors mc_loss_without_autograd(const Tensor& features, const Tensor& target,
                                     const MaybeTensor& mask, int64_t num_classes, double dis,
                                     double div, double per_xi) {
  auto all = mc_loss_forward(features, target, mask, num_classes, dis, div, per_xi);
  return {std::get<0>(all), std::get<1>(all), std::get<2>(all), std::get<3>(all), std::get<4>(all)};
}

FiveTensors mc_loss_reference_operator(const Tensor& features, const Tensor& target,
                                       const MaybeTensor& mask, int64_t num_classes, double dis,
                                       double div, double per_xi) {
  McLoss result = mc_loss_reference(features, target, num_classes, mask, {dis, div, per_xi});
  return {result.loss, result.dis, result.div, result.class_scores, result.diversity};
}

// Shapes without values, for tracing with fixed shapes.
EightTensors mc_loss_forward_meta(const Tensor& features, const Tensor& target,
                                  const MaybeTensor& mask, int64_t num_classes, double dis,
                                  double div, double per_xi) {
  check_mc_loss(features, target, mask, num_classes, {dis, div, per_xi});
  return empty_mc_forward(features, ChannelGroups(features.size(1), num_classes)).tuple();
}

Tensor mc_loss_backward_meta(const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
                             const MaybeTensor&, const MaybeTensor&, const Tensor& features,
                             const Tensor&, const Tensor&, const Tensor&, int64_t, double, double,
                             double) {
  return at::empty_like(features);
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def(
      "mc_loss(Tensor features, Tensor target, Tensor? mask, int num_classes, float dis, "
      "float div, float per_xi) -> (Tensor loss, Tensor dis, Tensor div, Tensor class_scores, "
      "Tensor diversity)");
  m.def(
      "mc_loss_reference(Tensor features, Tensor target, Tensor? mask, int num_classes, float dis, "
      "float div, float per_xi) -> (Tensor loss, Tensor dis, Tensor div, Tensor class_scores, "
      "Tensor diversity)",
      &mc_loss_reference_operator);
  m.def(
      "mc_loss_forward(Tensor features, Tensor target, Tensor? mask, int num_classes, float dis, "
      "float div, float per_xi) -> (Tensor loss, Tensor dis, Tensor div, Tensor class_scores, "
      "Tensor diversity, Tensor winners, Tensor channel_stats, Tensor score_grad)");
  m.def(
      "mc_loss_backward(Tensor? grad_loss, Tensor? grad_dis, Tensor? grad_div, "
      "Tensor? grad_class_scores, Tensor? grad_diversity, Tensor features, Tensor winners, "
      "Tensor channel_stats, Tensor score_grad, int num_classes, float dis, float div, "
      "float per_xi) -> Tensor");
}

TORCH_LIBRARY_IMPL(mcloss, CompositeExplicitAutograd, m) {
  m.impl("mc_loss", &mc_loss_without_autograd);
}

TORCH_LIBRARY_IMPL(mcloss, Autograd, m) {
  m.impl("mc_loss", &mc_loss_autograd);
  m.impl("mc_loss_forward", torch::autograd::autogradNotImplementedFallback());
  // A second derivative is refused by name: "derivative for mcloss::mc_loss_backward is not
  // implemented".
  m.impl("mc_loss_backward", torch::autograd::autogradNotImplementedFallback());
}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) {
  m.impl("mc_loss_forward", &mc_loss_forward_meta);
  m.impl("mc_loss_backward", &mc_loss_backward_meta);
}

}  // namespace

McLoss mc_loss(const Tensor& features, const Tensor& target, int64_t num_classes,
               const MaybeTensor& mask, const McTerms& terms) {
  static const auto op =
      find_operator<FiveTensors(const Tensor&, const Tensor&, const MaybeTensor&, int64_t, double,
                                double, double)>("mcloss::mc_loss");
  MaybeTensor local_mask;
  if (mask) local_mask = mask->to(features.device());
  McLoss result;
  std::tie(result.loss, result.dis, result.div, result.class_scores, result.diversity) =
      op.call(features, target, local_mask, num_classes, terms.dis, terms.div, terms.per_xi);
  return result;
}

}  // namespace mcloss
