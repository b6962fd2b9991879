#pragma once

#include "losses/loss.h"

namespace mcloss {

// L = CE(logits, target), the mean over the batch. parts: ce.
class CrossEntropy : public Loss {
 public:
  LossOutput forward(const LossInput& input) override;
};

}  // namespace mcloss
