// Congenerous cosine loss (Liu et al., arXiv 1710.00870, learned centres): CE on the logits s c_k
// of a cosine classifier; LMCL without a margin, and NormFace. parts: coco. Option: scale s.
#include "losses/cross_entropy.h"

namespace mcloss {
namespace {

class Coco : public Loss {
 public:
  LossOutput forward(const LossInput& input) override {
    const at::Tensor coco = cross_entropy(input.logits, input);
    return {coco, {{"coco", coco}}};
  }
};

}  // namespace

std::shared_ptr<Loss> make_coco(LossOptions& options, const LossContext& context) {
  const double scale = options.get<double>("scale", ranges::positive);
  require_classifier(context, "coco", {ClassifierKind::cosine, scale});
  return std::make_shared<Coco>();
}

}  // namespace mcloss
