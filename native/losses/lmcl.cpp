// Large margin cosine loss, also CosFace (Wang et al., CVPR 2018): CE on the logits s c_k of a
// cosine classifier, with s (c_y - m) for the label. parts: lmcl. Options: scale s, margin m.
#include <ATen/TensorOperators.h>

#include "losses/cross_entropy.h"
#include "losses/label_logit.h"

namespace mcloss {
namespace {

class Lmcl : public Loss {
 public:
  explicit Lmcl(double margin) : margin_(margin) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor logits = with_label_logit(input, label_logit(input) - margin_);
    const at::Tensor lmcl = cross_entropy(logits, input);
    return {lmcl, {{"lmcl", lmcl}}, {}, logits};
  }

 private:
  const double margin_;  // of a logit: s m
};

}  // namespace

std::shared_ptr<Loss> make_lmcl(LossOptions& options, const LossContext& context) {
  const double scale = options.get<double>("scale", ranges::positive);
  const double margin = options.get<double>("margin", ranges::not_negative);
  require_classifier(context, "lmcl", {ClassifierKind::cosine, scale});
  return std::make_shared<Lmcl>(scale * margin);
}

}  // namespace mcloss
