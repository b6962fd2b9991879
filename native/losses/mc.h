#pragma once

#include "losses/loss.h"
#include "ops/mc_loss.h"

namespace mcloss {

struct McOptions {
  McWeights weights;
  Keep keep;
  MaskScope mask_scope = MaskScope::batch;
  Impl impl = Impl::fused;

  template <typename V>
  void fields(V& v) {
    weights.fields(v);
    v("keep", keep);
    v("maskScope", mask_scope);
    v.optional("impl", impl);
  }
};
// Throws E_ARGUMENT naming the option.
McOptions mc_options(const LossConfig& config);

// L = CE(logits, target) + loss_mc(features, target) (ops/mc_loss.h). parts: ce, dis (L_dis),
// div (L_div). The attention mask comes from (seed, step); of scope batch it is the same for every
// micro-batch.
class Mc : public Loss {
 public:
  Mc(const LossConfig& config, int64_t num_classes)
      : options_(mc_options(config)), num_classes_(num_classes) {}
  LossOutput forward(const LossInput& input) override;

 private:
  McOptions options_;
  int64_t num_classes_;
};

}  // namespace mcloss
