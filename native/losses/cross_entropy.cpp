#include "losses/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>

namespace mcloss {

at::Tensor cross_entropy(const at::Tensor& logits, const LossInput& input, double label_smoothing) {
  const bool weighted = input.class_weights.defined();
  const at::Tensor ce = at::cross_entropy_loss(logits, input.target, input.class_weights,
                                               weighted ? at::Reduction::Sum : at::Reduction::Mean,
                                               /*ignore_index=*/-100, label_smoothing);
  return weighted ? ce / input.target.size(0) : ce;
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
