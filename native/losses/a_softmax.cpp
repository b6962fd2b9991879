// A-softmax, SphereFace (Liu et al., CVPR 2017): CE on the logits |x| c_k of a cosine layer, with
//   |x| (lambda c_y + psi) / (1 + lambda)   for the label, where
//   psi = (-1)^k cos(m theta) - 2 k,  k = floor(m theta / pi) in 0 .. m - 1,  theta = arccos c_y
// falls from 1 to 1 - 2 m without a jump. parts: a-softmax. Options: margin m; lambda's schedule,
// which comes as the scalar of the step. The gradient is the loss's own; the authors' code rescales
// it.
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>

#include <numbers>
#include <utility>

#include "losses/cross_entropy.h"
#include "losses/label_logit.h"

namespace mcloss {
namespace {

// cos(m arccos c), a polynomial of c (Chebyshev's recurrence).
at::Tensor cos_of_multiple(const at::Tensor& c, int64_t m) {
  at::Tensor before = at::ones_like(c), value = c;
  for (int64_t i = 1; i < m; ++i) before = std::exchange(value, c * value * 2 - before);
  return value;
}

class ASoftmax : public Loss {
 public:
  explicit ASoftmax(int64_t margin) : margin_(margin) {}

  LossOutput forward(const LossInput& input) override {
    const at::Tensor x = input.embedding.to(at::toOpMathType(input.embedding.scalar_type()));
    // The small number keeps the gradients at x = 0 finite.
    const at::Tensor squared = x.square().sum(1, /*keepdim=*/true) + 1e-12;
    const at::Tensor plain = label_logit(input);  // |x| c_y
    const at::Tensor margined = squared.sqrt() * psi(plain * squared.rsqrt());
    const at::Tensor logits =
        with_label_logit(input, plain + (margined - plain) / (input.scalar + 1));
    const at::Tensor loss = cross_entropy(logits, input);
    return {loss, {{"a-softmax", loss}}, {}, logits};
  }

 private:
  at::Tensor psi(const at::Tensor& c) const {
    // Without a gradient: both branches meet where k changes.
    const at::Tensor k = (c.detach().clamp(-1, 1).acos() * (margin_ / std::numbers::pi))
                             .floor()
                             .clamp_max(margin_ - 1);
    const at::Tensor sign = 1 - k.remainder(2) * 2;
    return cos_of_multiple(c, margin_) * sign - k * 2;
  }

  const int64_t margin_;
};

}  // namespace

std::shared_ptr<Loss> make_a_softmax(LossOptions& options, const LossContext& context) {
  const auto margin = options.get<int64_t>("margin", Range{1, 10});
  for (const char* name : {"lambdaStart", "lambdaDecay", "lambdaMin"}) options.of_schedule(name);
  require_classifier(context, "a-softmax", {ClassifierKind::cosine, 0});
  return std::make_shared<ASoftmax>(margin);
}

}  // namespace mcloss
