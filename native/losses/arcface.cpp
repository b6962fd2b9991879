// ArcFace (Deng et al., CVPR 2019): CE on the logits s c_k of a cosine classifier, with
// s cos(theta + m) for the label, theta = arccos c_y; where theta + m > pi it goes on falling as
// s (c_y - m sin m). parts: arcface. Options: scale s, margin m in radians.
#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "losses/cross_entropy.h"
#include "losses/label_logit.h"

namespace mcloss {
namespace {

class ArcFace : public Loss {
 public:
  ArcFace(double scale, double margin)
      : scale_(scale), margin_(margin), cos_(std::cos(margin)), sin_(std::sin(margin)) {}

  LossOutput forward(const LossInput& input) override {
    // The sine has an infinite gradient at c = 1; here it is at most about 2e3.
    const double most = 1 - 1e-7;
    const at::Tensor c = (label_logit(input) / scale_).clamp(-most, most);
    const at::Tensor sine = ((1 - c) * (1 + c)).sqrt();
    const at::Tensor margined = at::where(c < -cos_, c - margin_ * sin_, c * cos_ - sine * sin_);
    const at::Tensor logits = with_label_logit(input, margined * scale_);
    const at::Tensor arcface = cross_entropy(logits, input);
    return {arcface, {{"arcface", arcface}}, {}, logits};
  }

 private:
  const double scale_, margin_, cos_, sin_;
};

}  // namespace

std::shared_ptr<Loss> make_arcface(LossOptions& options, const LossContext& context) {
  const double scale = options.get<double>("scale", ranges::positive);
  const double margin = options.get<double>("margin", Range{0, 3.14, "a number in 0..3.14"});
  require_classifier(context, "arcface", {ClassifierKind::cosine, scale});
  return std::make_shared<ArcFace>(scale, margin);
}

}  // namespace mcloss
