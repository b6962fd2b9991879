#include "losses/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <c10/util/StringUtil.h>

namespace mcloss {
namespace {

// As it stands in a configuration.
std::string text_of(const ClassifierConfig& classifier) {
  switch (classifier.kind) {
    case ClassifierKind::linear: return "{kind: 'linear'}";
    case ClassifierKind::distance: return "{kind: 'distance'}";
    case ClassifierKind::cosine: break;
  }
  if (classifier.scale == 0) return "{kind: 'cosine', scale: 'norm'}";
  return c10::str("{kind: 'cosine', scale: ", classifier.scale, "}");
}

}  // namespace

void require_classifier(const LossContext& context, const std::string& loss,
                        const ClassifierConfig& needed) {
  const std::string expected = text_of(needed), received = text_of(context.model.classifier);
  if (received == expected) return;
  throw Error("E_CONFIG", c10::str("loss ", loss, ": expected model.classifier to be ", expected,
                                   " but received ", received,
                                   ". Set model.classifier to what this loss needs."));
}

at::Tensor weighted_mean(const at::Tensor& terms, const LossInput& input) {
  if (!input.class_weights.defined()) return terms.mean();
  return (terms.flatten() * input.class_weights.index_select(0, input.target)).mean();
}

at::Tensor class_weights_of(const TrainerConfig& config, at::Device device) {
  const std::vector<double>& weights = config.class_weights;
  if (weights.empty()) return {};
  const int64_t classes = config.model.num_classes;
  if (static_cast<int64_t>(weights.size()) != classes) {
    throw Error("E_ARGUMENT",
                c10::str("trainer: expected classWeights to be ", classes,
                         " numbers, one for each class, but received ", weights.size(), "."));
  }
  return at::tensor(weights, at::kFloat).to(device);
}

}  // namespace mcloss
