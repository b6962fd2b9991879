// Center loss (Wen et al., ECCV 2016): L = CE + weight * L_c, L_c = mean over samples of
// |x - c_y|^2 / 2. parts: ce, center (L_c). x: the embedding. Class weights act on CE alone. The
// centres c [K, D] start at 0 and do not follow a gradient. Once a step each moves by the authors'
// rule, over the n_j samples of class j:
//   c_j -= centerRate * sum(c_j - x_i) / (1 + n_j)
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include "losses/cross_entropy.h"

namespace mcloss {
namespace {

class Center : public Loss {
 public:
  Center(LossOptions& options, const LossContext& context)
      : cross_entropy_(options),
        weight_(options.get<double>("weight", ranges::not_negative)),
        rate_(options.get<double>("centerRate", ranges::up_to_one)),
        centres_(register_buffer(
            "centres", at::zeros({context.model.num_classes, context.embedding_width}))) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor& x = input.embedding;
    // Of float32 at least: a sum of squares leaves the range of half precision.
    const at::Tensor difference =
        x.to(at::toOpMathType(x.scalar_type())) - centres_.index_select(0, input.target);
    const at::Tensor ce = cross_entropy_(input);
    const at::Tensor center = difference.square().sum(1).mean() * 0.5;
    return {ce + center * weight_,
            {{"ce", ce}, {"center", center}},
            sums_of(difference.detach(), input.target)};
  }

  void update_buffers(const at::Tensor& sums) override {
    const c10::NoGradGuard no_grad;
    const int64_t width = centres_.size(1);
    const at::Tensor rows = sums.view({-1, width + 1});
    const at::Tensor count = rows.narrow(1, width, 1);
    centres_ -= rows.narrow(1, 0, width) / (count + 1) * rate_;
  }

 private:
  // [K * (D + 1)]: for each class the sum of c - x and the number of its samples.
  at::Tensor sums_of(const at::Tensor& difference, const at::Tensor& target) const {
    const at::Tensor ones = at::ones({difference.size(0), 1}, difference.options());
    return at::zeros({centres_.size(0), centres_.size(1) + 1}, difference.options())
        .index_add_(0, target, at::cat({-difference, ones}, 1))
        .flatten();
  }

  const CrossEntropy cross_entropy_;
  const double weight_, rate_;
  at::Tensor centres_;
};

}  // namespace

std::shared_ptr<Loss> make_center(LossOptions& options, const LossContext& context) {
  return std::make_shared<Center>(options, context);
}

}  // namespace mcloss
