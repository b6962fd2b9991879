// Large-margin Gaussian mixture loss (Wan et al., CVPR 2018) with the covariance fixed to the
// identity, as in the authors' experiments. The logits of a distance classifier are -d_k,
// d_k = |x - mu_k|^2 / 2:
//   L = L_cls + lambda L_lkd,  L_cls = CE with -(1 + alpha) d_y for the label,  L_lkd = mean of d_y
// parts: cls (L_cls), lkd (L_lkd). Options: lambda; alpha, which comes as the scalar of the step.
#include <ATen/TensorOperators.h>

#include "losses/cross_entropy.h"
#include "losses/label_logit.h"

namespace mcloss {
namespace {

class Lgm : public Loss {
 public:
  explicit Lgm(double lambda) : lambda_(lambda) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor plain = label_logit(input);  // -d_y
    const at::Tensor logits = with_label_logit(input, plain * (input.scalar + 1));
    const at::Tensor cls = cross_entropy(logits, input), lkd = -plain.mean();
    return {cls + lkd * lambda_, {{"cls", cls}, {"lkd", lkd}}, {}, logits};
  }

 private:
  const double lambda_;
};

}  // namespace

std::shared_ptr<Loss> make_lgm(LossOptions& options, const LossContext& context) {
  const double lambda = options.get<double>("lambda", ranges::not_negative);
  options.of_schedule("alpha");
  require_classifier(context, "lgm", {ClassifierKind::distance, 0});
  return std::make_shared<Lgm>(lambda);
}

}  // namespace mcloss
