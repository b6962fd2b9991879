// The mean cross entropy of several losses. LossInput::class_weights are of every cross entropy of
// the logits, whatever a loss has done to them; of nothing else.
#pragma once

#include "losses/loss.h"

namespace mcloss {

// The mean over samples of w_y CE, where w_y is the weight of the label's class (1 without
// weights). The divisor is the number of samples, not the sum of their weights as in PyTorch: then
// micro-batches add up to their batch. label_smoothing (eps): the target is 1 - eps on the label
// plus eps / K on all K classes, as PyTorch's, and -log p_k counts with w_k wherever the target is
// not 0.
at::Tensor cross_entropy(const at::Tensor& logits, const LossInput& input,
                         double label_smoothing = 0);

// cross_entropy of the logits as they are, with the option labelSmoothing (default 0).
class CrossEntropy {
 public:
  explicit CrossEntropy(LossOptions& options) {
    options.optional("labelSmoothing", smoothing_, ranges::below_one);
  }
  at::Tensor operator()(const LossInput& input) const {
    return cross_entropy(input.logits, input, smoothing_);
  }

 private:
  double smoothing_ = 0;
};

}  // namespace mcloss
