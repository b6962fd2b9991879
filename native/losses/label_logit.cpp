#include "losses/label_logit.h"

#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace mcloss {
namespace {

// [N, K]: true at the label. A gather's gradient, which adds up, has no order on a GPU.
at::Tensor is_label(const LossInput& input) {
  return at::zeros_like(input.logits, at::kBool).scatter_(1, input.target.unsqueeze(1), true);
}

}  // namespace

at::Tensor label_logit(const LossInput& input) {
  return at::where(is_label(input), input.logits, 0).sum(1, /*keepdim=*/true);
}

at::Tensor with_label_logit(const LossInput& input, const at::Tensor& logit) {
  return at::where(is_label(input), logit, input.logits);
}

}  // namespace mcloss
