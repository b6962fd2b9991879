#pragma once

#include "losses/loss.h"
#include "ops/mc_loss.h"

namespace mcloss {

// L = CE(logits, target) + loss_mc(features, target) (ops/mc_loss.h). parts: ce, dis (L_dis),
// div (L_div). The attention mask comes from (seed, step); of scope batch it is the same for every
// micro-batch.
class Mc : public Loss {
 public:
  Mc(const LossConfig& config, int64_t num_classes) : config_(config), num_classes_(num_classes) {}
  LossOutput forward(const LossInput& input) override;

 private:
  LossConfig config_;
  int64_t num_classes_;
};

}  // namespace mcloss
