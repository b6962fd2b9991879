#include "ops/mc_loss/checks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <cmath>

namespace mcloss {
namespace {

constexpr const char* kWho = "mc_loss";

}  // namespace

void check_mc_loss(const at::Tensor& features, const at::Tensor& target, const MaybeTensor& mask,
                   int64_t num_classes, const McTerms& terms) {
  if (!is_floating(features.scalar_type())) {
    refuse(kWho, "features of float64, float32, bfloat16 or float16", describe(features));
  }
  if (features.dim() != 4 || features.numel() == 0) {
    refuse(kWho, "features [N, C, H, W] with at least one sample and one position",
           describe(features));
  }
  const ChannelGroups groups(features.size(1), num_classes);
  const int64_t n = features.size(0), c = groups.num_channels;
  if (target.scalar_type() != at::kLong || target.sizes() != at::IntArrayRef{n} ||
      target.device() != features.device()) {
    refuse(kWho, c10::str("target int64 [N] with N of the features ", describe(features)),
           describe(target));
  }
  if (!std::isfinite(terms.dis) || !std::isfinite(terms.div) || !std::isfinite(terms.per_xi)) {
    refuse(kWho, "finite weights dis, div and per_xi",
           c10::str(terms.dis, ", ", terms.div, " and ", terms.per_xi));
  }
  if (!mask) return;
  if (mask->scalar_type() != at::kBool || mask->device() != features.device() ||
      (mask->sizes() != at::IntArrayRef{c} && mask->sizes() != at::IntArrayRef{n, c})) {
    refuse(kWho,
           c10::str("mask bool [C] or [N, C] on the device of the features ", describe(features)),
           describe(*mask));
  }
}

void check_labels(const at::Tensor& target, int64_t num_classes) {
  if (!target.is_cpu()) return;
  const int64_t smallest = target.min().item<int64_t>(), largest = target.max().item<int64_t>();
  if (smallest < 0 || largest >= num_classes) {
    refuse(kWho, c10::str("labels 0..", num_classes - 1),
           c10::str("a label ", smallest < 0 ? smallest : largest));
  }
}

McTerms mc_terms(const McWeights& weights) {
  const bool paper = weights.form == LossForm::paper;
  const double first = paper ? weights.mu : weights.alpha;
  const double second = paper ? weights.lambda : weights.beta;
  if (!std::isfinite(first) || !std::isfinite(second)) {
    refuse(kWho, paper ? "finite mu and lambda" : "finite alpha and beta",
           c10::str(first, " and ", second));
  }
  if (paper) return {.dis = first, .div = -first * second};
  return {.dis = first, .per_xi = second};
}

McFactors mc_factors(const McTerms& terms, const GroupLayout& groups) {
  const auto size = static_cast<double>(groups.small_size);
  return {.dis = terms.dis,
          .constant = terms.per_xi,
          .small = terms.div - terms.per_xi / size,
          .large = terms.div - terms.per_xi / (size + 1)};
}

McForward empty_mc_forward(const at::Tensor& features, const GroupLayout& groups) {
  const int64_t n = features.size(0), positions = features.size(2) * features.size(3);
  const auto values = features.options()
                          .dtype(accumulate_type(features.scalar_type()))
                          .memory_format(at::MemoryFormat::Contiguous);
  const auto index = groups.largest_size() > 255 ? at::kInt : at::kByte;
  const auto scores = [&] { return at::empty({n, groups.num_classes}, values); };
  const auto scalar = [&] { return at::empty({}, values); };
  return {.loss = scalar(),
          .dis = scalar(),
          .div = scalar(),
          .class_scores = scores(),
          .diversity = scores(),
          .winners = at::empty({2, n, groups.num_classes, positions}, values.dtype(index)),
          .channel_stats = at::empty({4, n, groups.num_channels}, values),
          .score_grad = scores()};
}

}  // namespace mcloss
