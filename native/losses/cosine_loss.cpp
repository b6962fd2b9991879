// Cosine loss (Barz and Denzler, WACV 2020): the mean of 1 - z_y / |z|, z the logits as a vector.
// parts: cosine. No option. Class weights multiply a sample's term.
#include <ATen/TensorOperators.h>

#include "losses/label_logit.h"

namespace mcloss {
namespace {

class CosineLoss : public Loss {
 public:
  LossOutput forward(const LossInput& input) override {
    // The small number keeps the gradient at z = 0 finite.
    const at::Tensor squared = input.logits.square().sum(1, /*keepdim=*/true) + 1e-12;
    const at::Tensor cosine = weighted_mean(1 - label_logit(input) * squared.rsqrt(), input);
    return {cosine, {{"cosine", cosine}}};
  }
};

}  // namespace

std::shared_ptr<Loss> make_cosine_loss(LossOptions&, const LossContext&) {
  return std::make_shared<CosineLoss>();
}

}  // namespace mcloss
