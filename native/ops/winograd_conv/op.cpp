// The operators of the 3x3 convolution, and their derivative:
//   mcloss::winograd_conv            what users call; differentiable once
//   mcloss::winograd_conv_forward    the kernels: winograd_conv/cpu.cpp
//   mcloss::winograd_conv_backward   the gradients that are wanted
#include "ops/winograd_conv.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <tuple>

#include "ops/winograd_conv/checks.h"

namespace mcloss {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Gradients =
    std::tuple<Tensor, Tensor, Tensor>;  // of x, weight, bias; undefined if not wanted
using Wanted = std::array<bool, 3>;
using Forward = Tensor(const Tensor&, const Tensor&, const MaybeTensor&);

Tensor forward_operator(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  static const auto op = find_operator<Forward>("mcloss::winograd_conv_forward");
  return op.call(x, weight, bias);
}

Gradients backward_operator(const Tensor& grad, const Tensor& x, const Tensor& weight,
                            Wanted wanted) {
  static const auto op =
      find_operator<Gradients(const Tensor&, const Tensor&, const Tensor&, Wanted)>(
          "mcloss::winograd_conv_backward");
  return op.call(grad, x, weight, wanted);
}

struct WinogradConvFunction : torch::autograd::Function<WinogradConvFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const MaybeTensor& bias) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    return forward_operator(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    // needs_input_grad counts the tensors that were given.
    const bool to_bias = context->saved_data["bias"].toBool() && context->needs_input_grad(2);
    const auto [x, weight, bias] =
        backward_operator(gradients[0], saved[0], saved[1],
                          {context->needs_input_grad(0), context->needs_input_grad(1), to_bias});
    return {x, weight, bias};
  }
};

Tensor winograd_conv_autograd(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  return WinogradConvFunction::apply(x, weight, bias);
}

// Shapes without values, for tracing with fixed shapes.
Tensor winograd_conv_forward_meta(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  check_winograd_conv(x, weight, bias);
  return empty_winograd_conv(x, weight);
}

Gradients winograd_conv_backward_meta(const Tensor& grad, const Tensor& x, const Tensor& weight,
                                      Wanted wanted) {
  check_winograd_conv_backward(grad, x, weight);
  return {wanted[0] ? empty_winograd_grad(x) : Tensor(),
          wanted[1] ? empty_winograd_grad(weight) : Tensor(),
          wanted[2] ? at::empty({weight.size(0)}, weight.options()) : Tensor()};
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def("winograd_conv(Tensor x, Tensor weight, Tensor? bias) -> Tensor");
  m.def("winograd_conv_forward(Tensor x, Tensor weight, Tensor? bias) -> Tensor");
  m.def(
      "winograd_conv_backward(Tensor grad, Tensor x, Tensor weight, bool[3] wanted) "
      "-> (Tensor grad_x, Tensor grad_weight, Tensor grad_bias)");
}

TORCH_LIBRARY_IMPL(mcloss, CompositeExplicitAutograd, m) {
  m.impl("winograd_conv", &forward_operator);
}

TORCH_LIBRARY_IMPL(mcloss, Autograd, m) {
  m.impl("winograd_conv", &winograd_conv_autograd);
  m.impl("winograd_conv_forward", torch::autograd::autogradNotImplementedFallback());
  // A second derivative is refused by name: "derivative for mcloss::winograd_conv_backward is not
  // implemented".
  m.impl("winograd_conv_backward", torch::autograd::autogradNotImplementedFallback());
}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) {
  m.impl("winograd_conv_forward", &winograd_conv_forward_meta);
  m.impl("winograd_conv_backward", &winograd_conv_backward_meta);
}

}  // namespace

Tensor winograd_conv(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  static const auto op = find_operator<Forward>("mcloss::winograd_conv");
  return op.call(x, weight, maybe(bias));
}

}  // namespace mcloss
