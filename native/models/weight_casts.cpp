#include "models/weight_casts.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace mcloss {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Keeps nothing of the forward pass for the backward one, which each micro-batch can go through.
struct CastFunction : torch::autograd::Function<CastFunction> {
  static variable_list forward(AutogradContext* context, const std::vector<at::Tensor>* casts,
                               at::TensorList parameters) {
    context->set_materialize_grads(false);
    at::_foreach_copy_(*casts, parameters);
    variable_list outputs;  // tensors of their own, since a graph hangs on them, in the same memory
    for (const at::Tensor& cast : *casts) outputs.push_back(cast.detach());
    return outputs;
  }

  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    variable_list results(1 + gradients.size());
    std::vector<at::Tensor> from, to;
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i].defined()) continue;  // of a frozen backbone
      from.push_back(gradients[i]);
      to.push_back(at::empty_like(gradients[i], gradients[i].options().dtype(at::kFloat)));
      results[1 + i] = to.back();
    }
    if (!to.empty()) at::_foreach_copy_(to, from);
    return results;
  }
};

}  // namespace

WeightCasts::WeightCasts(std::vector<std::shared_ptr<CastLayer>> layers, at::ScalarType dtype)
    : layers_(std::move(layers)) {
  for (const auto& layer : layers_) {
    for (const at::Tensor& parameter : layer->parameters(/*recurse=*/false)) {
      parameters_.push_back(parameter);
      casts_.push_back(at::empty_like(parameter.detach(), parameter.options().dtype(dtype)));
    }
  }
}

void WeightCasts::renew() {
  variable_list casts = CastFunction::apply(&casts_, at::TensorList(parameters_));
  auto cast = casts.begin();
  for (const auto& layer : layers_) {
    const auto count = static_cast<std::ptrdiff_t>(layer->parameters(/*recurse=*/false).size());
    layer->casts_.assign(cast, cast + count);
    cast += count;
  }
}

}  // namespace mcloss
