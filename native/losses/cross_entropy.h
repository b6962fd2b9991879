// The mean cross entropy of several losses, with their option labelSmoothing (eps, default 0): the
// target is 1 - eps on the label plus eps / K on all K classes, as PyTorch's.
#pragma once

#include "losses/loss.h"

namespace mcloss {

class CrossEntropy {
 public:
  explicit CrossEntropy(LossOptions& options) {
    options.optional("labelSmoothing", smoothing_, ranges::below_one);
  }
  at::Tensor operator()(const LossInput& input) const;

 private:
  double smoothing_ = 0;
};

}  // namespace mcloss
