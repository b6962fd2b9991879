#include "losses/cross_entropy.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>

namespace mcloss {

at::Tensor CrossEntropy::operator()(const LossInput& input) const {
  return at::cross_entropy_loss(input.logits, input.target, /*weight=*/{}, at::Reduction::Mean,
                                /*ignore_index=*/-100, smoothing_);
}

namespace {

// parts: ce.
class CrossEntropyLoss : public Loss {
 public:
  explicit CrossEntropyLoss(LossOptions& options) : cross_entropy_(options) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor ce = cross_entropy_(input);
    return {ce, {{"ce", ce}}};
  }

 private:
  CrossEntropy cross_entropy_;
};

}  // namespace

std::shared_ptr<Loss> make_cross_entropy(LossOptions& options, const LossContext&) {
  return std::make_shared<CrossEntropyLoss>(options);
}

}  // namespace mcloss
