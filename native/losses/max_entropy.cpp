// Maximum entropy (Dubey et al., NeurIPS 2018): L = CE - gamma H, H = mean of -sum over k of
// p_k log p_k. parts: ce, entropy (H). Option: gamma. Class weights act on CE alone.
#include <ATen/TensorOperators.h>

#include "losses/cross_entropy.h"

namespace mcloss {
namespace {

class MaxEntropy : public Loss {
 public:
  explicit MaxEntropy(double gamma) : gamma_(gamma) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor log_p = input.logits.log_softmax(1);
    const at::Tensor entropy = -(log_p.exp() * log_p).sum(1).mean();
    const at::Tensor ce = cross_entropy(input.logits, input);
    return {ce - entropy * gamma_, {{"ce", ce}, {"entropy", entropy}}};
  }

 private:
  const double gamma_;
};

}  // namespace

std::shared_ptr<Loss> make_max_entropy(LossOptions& options, const LossContext&) {
  return std::make_shared<MaxEntropy>(options.get<double>("gamma", ranges::not_negative));
}

}  // namespace mcloss
