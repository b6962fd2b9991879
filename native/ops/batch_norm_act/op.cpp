// The operators of batch norm + residual + ReLU, how they reach their kernels, and their derivative:
//   mcloss::batch_norm_act           what users call; differentiable once
//   mcloss::batch_norm_act_forward   the kernels: batch_norm_act/cpu.cpp, cuda.cu
//   mcloss::batch_norm_act_backward
//   the two parts of each, batch_norm_act_sums and so on: batch_norm_act/parts.h
// Autocast: the operator takes x in whatever dtype it comes and its parameters in float32, and sums
// in float32 or more, so it has no rule of its own.
#include "ops/batch_norm_act.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/parts.h"

namespace mcloss {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

ForwardResult forward_operator(const Tensor& x, const MaybeTensor& residual,
                               const MaybeTensor& weight, const MaybeTensor& bias,
                               const MaybeTensor& running_mean, const MaybeTensor& running_var,
                               bool training, double momentum, double eps, bool relu) {
  static const auto op = find_operator<ForwardResult(
      const Tensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
      const MaybeTensor&, bool, double, double, bool)>("mcloss::batch_norm_act_forward");
  return op.call(x, residual, weight, bias, running_mean, running_var, training, momentum, eps,
                 relu);
}

BackwardResult backward_operator(const Tensor& grad, const Tensor& x, const MaybeTensor& y,
                                 const Tensor& saved, bool training, bool relu,
                                 bool grad_residual) {
  static const auto op =
      find_operator<BackwardResult(const Tensor&, const Tensor&, const MaybeTensor&, const Tensor&,
                                   bool, bool, bool)>("mcloss::batch_norm_act_backward");
  return op.call(grad, x, y, saved, training, relu, grad_residual);
}

struct BatchNormActFunction : torch::autograd::Function<BatchNormActFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const MaybeTensor& residual,
                        const MaybeTensor& weight, const MaybeTensor& bias,
                        const MaybeTensor& running_mean, const MaybeTensor& running_var,
                        bool training, double momentum, double eps, bool relu) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const auto [y, saved] = forward_operator(x, residual, weight, bias, running_mean, running_var,
                                             training, momentum, eps, relu);
    // Without a residual y follows from x once more, cheaper than reading it.
    context->save_for_backward({x, saved, relu && residual ? y : Tensor()});
    context->saved_data["training"] = training;
    context->saved_data["relu"] = relu;
    context->saved_data["residual"] = residual.has_value();
    context->saved_data["weight"] = weight.has_value();
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    auto& data = context->saved_data;
    const variable_list saved = context->get_saved_variables();
    const bool relu = data["relu"].toBool();
    // needs_input_grad counts the tensors that were given.
    const bool to_residual = data["residual"].toBool() && context->needs_input_grad(1);
    const Tensor& grad = gradients[0];
    const auto [grad_x, grad_weight, grad_bias, masked] =
        backward_operator(grad, saved[0], maybe(saved[2]), saved[1], data["training"].toBool(),
                          relu, to_residual && relu);
    variable_list result(10);
    result[0] = grad_x;
    if (to_residual) result[1] = relu ? masked : grad;
    if (data["weight"].toBool()) result[2] = grad_weight;
    if (data["bias"].toBool()) result[3] = grad_bias;
    return result;
  }
};

Tensor batch_norm_act_autograd(const Tensor& x, const MaybeTensor& residual,
                               const MaybeTensor& weight, const MaybeTensor& bias,
                               const MaybeTensor& running_mean, const MaybeTensor& running_var,
                               bool training, double momentum, double eps, bool relu) {
  return BatchNormActFunction::apply(x, residual, weight, bias, running_mean, running_var, training,
                                     momentum, eps, relu);
}

Tensor batch_norm_act_without_autograd(const Tensor& x, const MaybeTensor& residual,
                                       const MaybeTensor& weight, const MaybeTensor& bias,
                                       const MaybeTensor& running_mean,
                                       const MaybeTensor& running_var, bool training,
                                       double momentum, double eps, bool relu) {
  return std::get<0>(forward_operator(x, residual, weight, bias, running_mean, running_var,
                                      training, momentum, eps, relu));
}

// Shapes without values, for tracing with fixed shapes.
struct Meta {
  static void forward(const BnForward&) {}
  static void backward(const BnBackward&) {}
};

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def(
      "batch_norm_act(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, "
      "Tensor(a!)? running_mean, Tensor(b!)? running_var, bool training, float momentum, "
      "float eps, bool relu) -> Tensor");
  m.def(
      "batch_norm_act_forward(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, "
      "Tensor(a!)? running_mean, Tensor(b!)? running_var, bool training, float momentum, "
      "float eps, bool relu) -> (Tensor y, Tensor saved)");
  m.def(
      "batch_norm_act_backward(Tensor grad, Tensor x, Tensor? y, Tensor saved, bool training, "
      "bool relu, bool grad_residual) -> (Tensor grad_x, Tensor grad_weight, Tensor grad_bias, "
      "Tensor masked)");
  m.def("batch_norm_act_sums(Tensor x) -> Tensor sums");
  m.def(
      "batch_norm_act_from_sums(Tensor x, Tensor? residual, Tensor? weight, Tensor? bias, "
      "Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor sums, float momentum, "
      "float eps, bool relu) -> (Tensor y, Tensor saved)");
  m.def(
      "batch_norm_act_backward_sums(Tensor grad, Tensor x, Tensor? y, Tensor saved, bool relu, "
      "bool grad_residual) -> (Tensor sums, Tensor grad_weight, Tensor grad_bias, Tensor masked)");
  m.def(
      "batch_norm_act_backward_from_sums(Tensor grad, Tensor x, Tensor? y, Tensor saved, "
      "Tensor sums, bool relu) -> Tensor grad_x");
}

TORCH_LIBRARY_IMPL(mcloss, CompositeExplicitAutograd, m) {
  m.impl("batch_norm_act", &batch_norm_act_without_autograd);
}

TORCH_LIBRARY_IMPL(mcloss, Autograd, m) {
  m.impl("batch_norm_act", &batch_norm_act_autograd);
  for (const char* part :
       {"batch_norm_act_forward", "batch_norm_act_sums", "batch_norm_act_from_sums",
        "batch_norm_act_backward_sums", "batch_norm_act_backward_from_sums"}) {
    m.impl(part, torch::autograd::autogradNotImplementedFallback());
  }
  // A second derivative is refused by name: "derivative for mcloss::batch_norm_act_backward is not
  // implemented".
  m.impl("batch_norm_act_backward", torch::autograd::autogradNotImplementedFallback());
}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) { bn_register<Meta>(m); }

}  // namespace

Tensor batch_norm_act(const Tensor& x, const Tensor& residual, const Tensor& weight,
                      const Tensor& bias, const Tensor& running_mean, const Tensor& running_var,
                      const BatchNormActOptions& options) {
  static const auto op = find_operator<Tensor(
      const Tensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
      const MaybeTensor&, bool, double, double, bool)>("mcloss::batch_norm_act");
  return op.call(x, maybe(residual), maybe(weight), maybe(bias), maybe(running_mean),
                 maybe(running_var), options.training, options.momentum, options.eps, options.relu);
}

Tensor batch_norm_act_sums(const Tensor& x) {
  static const auto op = find_operator<Tensor(const Tensor&)>("mcloss::batch_norm_act_sums");
  return op.call(x);
}

BatchNormActForward batch_norm_act_from_sums(const Tensor& x, const Tensor& residual,
                                             const Tensor& weight, const Tensor& bias,
                                             const Tensor& running_mean, const Tensor& running_var,
                                             const Tensor& sums,
                                             const BatchNormActOptions& options) {
  static const auto op = find_operator<ForwardResult(
      const Tensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
      const MaybeTensor&, const Tensor&, double, double, bool)>("mcloss::batch_norm_act_from_sums");
  const auto [y, saved] =
      op.call(x, maybe(residual), maybe(weight), maybe(bias), maybe(running_mean),
              maybe(running_var), sums, options.momentum, options.eps, options.relu);
  return {y, saved};
}

BatchNormActBackwardSums batch_norm_act_backward_sums(const Tensor& grad, const Tensor& x,
                                                      const Tensor& y, const Tensor& saved,
                                                      bool relu, bool grad_residual) {
  static const auto op = find_operator<BackwardSumsResult(
      const Tensor&, const Tensor&, const MaybeTensor&, const Tensor&, bool, bool)>(
      "mcloss::batch_norm_act_backward_sums");
  const auto [sums, grad_weight, grad_bias, masked] =
      op.call(grad, x, maybe(y), saved, relu, grad_residual);
  return {sums, grad_weight, grad_bias, masked};
}

Tensor batch_norm_act_backward_from_sums(const Tensor& grad, const Tensor& x, const Tensor& y,
                                         const Tensor& saved, const Tensor& sums, bool relu) {
  static const auto op =
      find_operator<Tensor(const Tensor&, const Tensor&, const MaybeTensor&, const Tensor&,
                           const Tensor&, bool)>("mcloss::batch_norm_act_backward_from_sums");
  return op.call(grad, x, maybe(y), saved, sums, relu);
}

}  // namespace mcloss
