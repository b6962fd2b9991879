// The operators mcloss::mc_scores and mcloss::mc_scores_backward, and their derivative on the CPU.
// Every other device runs mc_scores_reference and is differentiated through LibTorch's operators.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "ops/mc_loss.h"

namespace mcloss {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor mc_scores_backward(const at::Tensor& grad_class_scores,
                              const at::Tensor& grad_diversity, const at::Tensor& features,
                              const std::optional<at::Tensor>& mask, int64_t num_classes) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mcloss::mc_scores_backward", "")
                             .typed<decltype(mc_scores_backward)>();
  return op.call(grad_class_scores, grad_diversity, features, mask, num_classes);
}

struct McScores : torch::autograd::Function<McScores> {
  static variable_list forward(AutogradContext* context, const at::Tensor& features,
                               const std::optional<at::Tensor>& mask, int64_t num_classes) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({features, mask.value_or(at::Tensor())});
    context->saved_data["num_classes"] = num_classes;
    auto [class_scores, diversity] = mc_scores(features, mask, num_classes);
    return {class_scores, diversity};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    std::optional<at::Tensor> mask;
    if (saved[1].defined()) mask = saved[1];
    const at::Tensor grad_features =
        mc_scores_backward(gradients[0], gradients[1], saved[0], mask,
                           context->saved_data["num_classes"].toInt());
    return {grad_features, at::Tensor(), at::Tensor()};
  }
};

std::tuple<at::Tensor, at::Tensor> mc_scores_autograd(const at::Tensor& features,
                                                      const std::optional<at::Tensor>& mask,
                                                      int64_t num_classes) {
  const variable_list outputs = McScores::apply(features, mask, num_classes);
  return {outputs[0], outputs[1]};
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def("mc_scores(Tensor features, Tensor? mask, int num_classes) -> (Tensor class_scores, "
        "Tensor diversity)");
  m.def("mc_scores_backward(Tensor grad_class_scores, Tensor grad_diversity, Tensor features, "
        "Tensor? mask, int num_classes) -> Tensor");
}

TORCH_LIBRARY_IMPL(mcloss, CompositeImplicitAutograd, m) {
  m.impl("mc_scores", &mc_scores_reference);
}

TORCH_LIBRARY_IMPL(mcloss, AutogradCPU, m) {
  m.impl("mc_scores", &mc_scores_autograd);
  // A second derivative is refused by name: "derivative for mcloss::mc_scores_backward is not
  // implemented".
  m.impl("mc_scores_backward", torch::autograd::autogradNotImplementedFallback());
}

}  // namespace
}  // namespace mcloss
