// A margin acts on one logit of each sample, that of its label.
#pragma once

#include "losses/loss.h"

namespace mcloss {

// z_y [N, 1].
at::Tensor label_logit(const LossInput& input);

// The logits with `logit` [N, 1] in place of z_y.
at::Tensor with_label_logit(const LossInput& input, const at::Tensor& logit);

}  // namespace mcloss
