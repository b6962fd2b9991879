#include "ops/mc_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/cross_entropy_loss.h>

#include <cmath>
#include <sstream>

#include "ops/channel_groups.h"

namespace mcloss {
namespace {

[[noreturn]] void refuse(const std::string& expected, const std::string& received) {
  throw Error("E_ARGUMENT",
              "mc_loss: expected " + expected + " but received " + received + ".");
}

std::string describe(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes() << " on " << tensor.device();
  return text.str();
}

void check_target(const at::Tensor& target, const at::Tensor& features, int64_t num_classes) {
  if (target.scalar_type() != at::kLong || target.dim() != 1 ||
      target.size(0) != features.size(0) || target.device() != features.device()) {
    refuse("target int64 [N] with N of the features " + describe(features), describe(target));
  }
  // Reading labels back from a GPU would make every step wait for it.
  if (!target.is_cpu()) return;
  const int64_t smallest = target.min().item<int64_t>(), largest = target.max().item<int64_t>();
  if (smallest < 0 || largest >= num_classes) {
    refuse("labels 0.." + std::to_string(num_classes - 1),
           "a label " + std::to_string(smallest < 0 ? smallest : largest));
  }
}

void check_weights(const McWeights& weights) {
  const bool paper = weights.form == LossForm::paper;
  const double first = paper ? weights.mu : weights.alpha;
  const double second = paper ? weights.lambda : weights.beta;
  if (!std::isfinite(first) || !std::isfinite(second)) {
    refuse(paper ? "finite mu and lambda" : "finite alpha and beta",
           std::to_string(first) + " and " + std::to_string(second));
  }
}

// Mean over samples and classes of h_i / xi_i, h: [N, K]. No tensor of sizes: nothing to copy to a
// device.
at::Tensor mean_share(const at::Tensor& diversity, const ChannelGroups& groups) {
  const int64_t num_large = groups.num_classes - groups.num_small;
  const at::Tensor small = diversity.narrow(1, 0, groups.num_small).sum();
  const at::Tensor large = diversity.narrow(1, groups.num_small, num_large).sum();
  const double size = static_cast<double>(groups.small_size);
  return (small / size + large / (size + 1)) / static_cast<double>(diversity.numel());
}

}  // namespace

void check_mc_scores(const at::Tensor& features, const std::optional<at::Tensor>& mask,
                     int64_t num_classes) {
  const auto dtype = features.scalar_type();
  if (dtype != at::kDouble && dtype != at::kFloat && dtype != at::kBFloat16 && dtype != at::kHalf) {
    refuse("features of float64, float32, bfloat16 or float16", describe(features));
  }
  if (features.dim() != 4 || features.numel() == 0) {
    refuse("features [N, C, H, W] with at least one sample and one position", describe(features));
  }
  const ChannelGroups groups(features.size(1), num_classes);
  if (!mask) return;
  const int64_t n = features.size(0), c = groups.num_channels;
  if (mask->scalar_type() != at::kBool || mask->device() != features.device() ||
      (mask->sizes() != at::IntArrayRef{c} && mask->sizes() != at::IntArrayRef{n, c})) {
    refuse("mask bool [C] or [N, C] on the device of the features " + describe(features),
           describe(*mask));
  }
}

std::tuple<at::Tensor, at::Tensor> mc_scores(const at::Tensor& features,
                                             const std::optional<at::Tensor>& mask,
                                             int64_t num_classes) {
  using Signature = std::tuple<at::Tensor, at::Tensor>(
      const at::Tensor&, const std::optional<at::Tensor>&, int64_t);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mcloss::mc_scores", "")
                             .typed<Signature>();
  return op.call(features, mask, num_classes);
}

McLoss mc_loss(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
               const std::optional<at::Tensor>& mask, const McWeights& weights) {
  std::optional<at::Tensor> local_mask;
  if (mask) local_mask = mask->to(features.device());
  check_mc_scores(features, local_mask, num_classes);
  check_target(target, features, num_classes);
  check_weights(weights);

  McLoss result;
  std::tie(result.class_scores, result.diversity) = mc_scores(features, local_mask, num_classes);
  result.dis = at::cross_entropy_loss(result.class_scores, target);
  result.div = result.diversity.mean();
  if (weights.form == LossForm::paper) {
    result.loss = weights.mu * (result.dis - weights.lambda * result.div);
  } else {
    const ChannelGroups groups(features.size(1), num_classes);
    result.loss = weights.alpha * result.dis +
                  weights.beta * (1 - mean_share(result.diversity, groups));
  }
  return result;
}

}  // namespace mcloss
