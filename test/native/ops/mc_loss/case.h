// One input of the MC-Loss drawn from a seed, and the operator's results and gradient on it.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <random>
#include <string>

#include "check.h"
#include "ops/mc_loss.h"
#include "ops/mc_loss/twin.h"

namespace test {

class Random {
 public:
  explicit Random(uint32_t seed) : generator_(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(generator_() % static_cast<uint32_t>(high - low + 1));
  }
  double uniform() { return generator_() / 4294967296.0; }
  at::Tensor uniform(at::IntArrayRef sizes) {
    at::Tensor values = at::empty(sizes, at::kDouble);
    for (int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = uniform();
    return values;
  }

 private:
  std::mt19937 generator_;
};

struct Case {
  at::Tensor features;  // [N, C, H, W] double, contiguous
  at::Tensor target;
  at::Tensor mask;  // [C], [N, C] or undefined
  int64_t classes;
  mcloss::McWeights weights;
  Upstream upstream;

  Twin expected() const {
    const at::Tensor rows =
        mask.defined() ? mask.expand({features.size(0), features.size(1)}).contiguous() : mask;
    return twin(features, target, rows, classes, weights, upstream);
  }
  std::string name() const {
    std::string text;
    for (const int64_t size : features.sizes()) text += std::to_string(size) + " ";
    return text + "/ " + std::to_string(classes);
  }
};

// Values in -3..5. variant: any number; it chooses mask, form and whether every result or the loss
// alone is differentiated, so that consecutive numbers cover all of them.
inline Case draw_case(Random& random, std::array<int64_t, 4> sizes, int64_t classes,
                      int64_t variant) {
  const auto [n, c, h, w] = sizes;
  Case result;
  result.features = random.uniform({n, c, h, w}) * 8 - 3;
  result.target = (random.uniform({n}) * static_cast<double>(classes)).to(at::kLong);
  if (variant % 3 == 1) result.mask = random.uniform({c}) < 0.5;
  if (variant % 3 == 2) result.mask = random.uniform({n, c}) < 0.5;
  result.classes = classes;
  const double first = random.uniform() + 0.1, second = 20 * random.uniform();
  if (variant % 2 == 0) {
    result.weights = {.form = mcloss::LossForm::paper, .mu = first, .lambda = second};
  } else {
    result.weights = {.form = mcloss::LossForm::official, .alpha = first, .beta = second};
  }
  // Large enough that no gradient of float16 is below its normal numbers.
  const auto scale = static_cast<double>(h * w);
  result.upstream.loss = scale * static_cast<double>(n * classes);
  if (variant % 4 < 2) return result;
  const auto draw = [&] { return scale * (2 * random.uniform() - 1); };
  result.upstream.dis = draw();
  result.upstream.div = draw();
  for (int64_t i = 0; i < n * classes; ++i) {
    result.upstream.g.push_back(draw());
    result.upstream.h.push_back(draw());
  }
  return result;
}

struct Outcome {
  mcloss::McLoss results;
  at::Tensor grad;
};

// mc_loss or mc_loss_reference on the features as given, and the gradient that Upstream asks for.
template <typename Form>
Outcome run(const Form& form, const Case& input, at::Tensor features) {
  features = features.detach().set_requires_grad(true);
  std::optional<at::Tensor> mask;
  if (input.mask.defined()) mask = input.mask;
  const auto results = form(features, input.target.to(features.device()), input.classes, mask,
                            mcloss::mc_terms(input.weights));
  const Upstream& upstream = input.upstream;
  at::Tensor total = upstream.loss * results.loss;
  if (!upstream.g.empty()) {
    const auto weigh = [](const at::Tensor& values, const std::vector<double>& by) {
      return (values * as_tensor(by, values.sizes()).to(values.device())).sum();
    };
    total = total + upstream.dis * results.dis + upstream.div * results.div +
            weigh(results.class_scores, upstream.g) + weigh(results.diversity, upstream.h);
  }
  total.backward();
  return {results, features.grad()};
}

}  // namespace test
