#include "losses/cross_entropy.h"

#include <ATen/ops/cross_entropy_loss.h>

namespace mcloss {

LossOutput CrossEntropy::forward(const LossInput& input) {
  const at::Tensor ce = at::cross_entropy_loss(input.logits, input.target);
  return {ce, {{"ce", ce}}};
}

}  // namespace mcloss
