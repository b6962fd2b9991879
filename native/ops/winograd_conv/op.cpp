// The operators of the 3x3 convolution, and their derivative:
//   mcloss::winograd_conv            what users call; differentiable once
//   mcloss::winograd_conv_forward    the kernels: winograd_conv/cpu.cpp
//   mcloss::winograd_conv_backward   the gradients that are wanted
#include "ops/winograd_conv.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>

#include "types.h"

namespace mcloss {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;
using Gradients =
    std::tuple<Tensor, Tensor, Tensor>;  // of x, weight, bias; undefined if not wanted
using Wanted = std::array<bool, 3>;

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}
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
  check_winograd_conv(x, weight, bias.value_or(Tensor()));
  return empty_winograd_conv(x, weight);
}

Gradients winograd_conv_backward_meta(const Tensor& grad, const Tensor& x, const Tensor& weight,
                                      Wanted wanted) {
  check_winograd_conv_backward(grad, x, weight);
  const auto like = [](const Tensor& values, bool made) {
    return made ? at::empty_like(values, at::MemoryFormat::ChannelsLast) : Tensor();
  };
  return {like(x, wanted[0]), like(weight, wanted[1]),
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

std::string describe(const Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes() << " on " << tensor.device();
  return text.str();
}

[[noreturn]] void refuse(const std::string& expected, const Tensor& received) {
  throw Error("E_ARGUMENT",
              "winograd_conv: expected " + expected + " but received " + describe(received) + ".");
}

bool is_like(const Tensor& values, const Tensor& x) {
  return values.scalar_type() == x.scalar_type() && values.device() == x.device();
}

}  // namespace

Tensor winograd_conv(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  static const auto op = find_operator<Forward>("mcloss::winograd_conv");
  return op.call(x, weight, bias.defined() ? MaybeTensor(bias) : std::nullopt);
}

void check_winograd_conv(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.dim() != 4 || x.numel() == 0 ||
      (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble)) {
    refuse("x [N, C, H, W] of float32 or float64 with at least one value", x);
  }
  if (!is_like(weight, x) || weight.dim() != 4 || weight.size(0) == 0 ||
      weight.size(1) != x.size(1) || weight.size(2) != 3 || weight.size(3) != 3) {
    refuse("weight [out, in, 3, 3] for x " + describe(x), weight);
  }
  if (bias.defined() && (!is_like(bias, x) || bias.sizes() != at::IntArrayRef{weight.size(0)})) {
    refuse("bias [out] for weight " + describe(weight), bias);
  }
}

void check_winograd_conv_backward(const Tensor& grad, const Tensor& x, const Tensor& weight) {
  check_winograd_conv(x, weight, {});
  const std::array<int64_t, 4> result{x.size(0), weight.size(0), x.size(2), x.size(3)};
  if (!is_like(grad, x) || grad.sizes() != at::IntArrayRef(result)) {
    refuse("grad like the result for x " + describe(x) + " and weight " + describe(weight), grad);
  }
}

Tensor empty_winograd_conv(const Tensor& x, const Tensor& weight) {
  return at::empty({x.size(0), weight.size(0), x.size(2), x.size(3)},
                   x.options().memory_format(at::MemoryFormat::ChannelsLast));
}

}  // namespace mcloss
