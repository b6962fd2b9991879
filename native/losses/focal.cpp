// Focal loss (Lin et al., ICCV 2017), of the softmax: the mean of (1 - p_y)^gamma (-log p_y).
// parts: focal. The paper's own form is one sigmoid a class, for detection. Class weights multiply
// a sample's term. gamma between 0 and 1 has an infinite gradient at p_y = 1; the schema
// refuses it.
#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "losses/loss.h"

namespace mcloss {
namespace {

class Focal : public Loss {
 public:
  explicit Focal(double gamma) : gamma_(gamma) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor ce = at::cross_entropy_loss(input.logits, input.target, /*weight=*/{},
                                                 at::Reduction::None);  // -log p_y
    // 1 - p_y by expm1, which keeps its digits where p_y is near 1.
    const at::Tensor focal = weighted_mean((-(-ce).expm1()).pow(gamma_) * ce, input);
    return {focal, {{"focal", focal}}};
  }

 private:
  const double gamma_;
};

}  // namespace

std::shared_ptr<Loss> make_focal(LossOptions& options, const LossContext&) {
  return std::make_shared<Focal>(options.get<double>("gamma", ranges::not_negative));
}

}  // namespace mcloss
