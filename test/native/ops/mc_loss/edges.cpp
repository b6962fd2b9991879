// mc_loss where the formulas are special: golden values, ties, masks, values that are not finite, the
// two forms, and what it refuses.
#include <ATen/autocast_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "cases.h"
#include "ops/mc_loss/case.h"

namespace test {
namespace {

using mcloss::LossForm;
using mcloss::mc_loss;
using mcloss::McTerms;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

McTerms official(double alpha, double beta) {
  return mcloss::mc_terms({.form = LossForm::official, .alpha = alpha, .beta = beta});
}
McTerms paper(double mu, double lambda) {
  return mcloss::mc_terms({.form = LossForm::paper, .mu = mu, .lambda = lambda});
}
at::Tensor labels(int64_t n, int64_t classes) {
  return at::arange(n, at::kLong).remainder(classes);
}

void golden() {
  const auto cub =
      mc_loss(at::full({2, 2048, 3, 5}, 0.3, at::kDouble), labels(2, 200), 200, {}, official(0, 1));
  check_close(cub.diversity, at::ones({2, 200}), 1e-12, "constant maps: h = 1");
  check(std::abs(1 - cub.loss.item<double>() - 0.0978182) < 5e-8, "CUB-2048: mean of h / xi");

  // Peaks so sharp that a softmax is 1 at one position: disjoint peaks score xi, identical peaks 1.
  at::Tensor peaks = at::zeros({2, 3, 2, 2}, at::kDouble);
  for (int64_t channel = 0; channel < 3; ++channel) {
    peaks[0][channel][channel / 2][channel % 2] = 100;
    peaks[1][channel][1][0] = 100;
  }
  const at::Tensor h = mc_loss(peaks, labels(2, 1), 1, {}, paper(1, 1)).diversity;
  check(std::abs(h[0][0].item<double>() - 3) < 1e-12, "disjoint peaks: h = xi");
  check(std::abs(h[1][0].item<double>() - 1) < 1e-12, "identical peaks: h = 1");
}

// Every channel alike: the first channel takes the whole gradient of g; a masked one takes part as
// 0; a masked 0 that comes first keeps the gradient from a kept 0.
void ties() {
  const at::Tensor mask = at::ones({4}, at::kBool);
  mask[0] = false;
  for (const double value : {0.5, 0.0, -0.5}) {
    for (const bool masked : {false, true}) {
      const at::Tensor features = at::full({1, 4, 2, 2}, value, at::kDouble);
      features.set_requires_grad(true);
      std::optional<at::Tensor> given;
      if (masked) given = mask;
      const auto result = mc_loss(features, labels(1, 1), 1, given, paper(1, 1));
      const at::Tensor &g = result.class_scores, &h = result.diversity;
      (g.sum() + 3 * h.sum()).backward();
      at::Tensor expected = at::zeros({1, 4, 2, 2}, at::kDouble);
      if (!masked) expected.select(1, 0).fill_(0.25);
      if (masked && value > 0) expected.select(1, 1).fill_(0.25);
      const std::string name =
          "all alike at " + std::to_string(value) + (masked ? ", the first masked" : "");
      check_close(features.grad(), expected, 1e-14, name, 1);
      check_close(h, at::ones({1, 1}), 1e-14, name + ": h");
      const double score = masked && value < 0 ? 0 : value;
      check_close(g, at::full({1, 1}, score), 1e-14, name + ": g");
    }
  }
}

// One bad value in class 1 of 3, which owns channels 2 and 3.
void non_finite() {
  for (const double bad : {kNan, kInfinity}) {
    for (const int64_t position : {0, 7, 16, 24}) {
      const at::Tensor features = at::rand({2, 7, 5, 5});
      features.view({2, 7, 25})[1][3][position] = bad;
      for (const auto form : {&mcloss::mc_loss, &mcloss::mc_loss_reference}) {
        const auto result = form(features, labels(2, 3), 3, {}, official(1, 1));
        const at::Tensor &g = result.class_scores, &h = result.diversity;
        check(result.loss.isnan().item<bool>(), "NaN or infinity in, NaN out of the loss");
        check(h[1][1].isnan().item<bool>(), "NaN or infinity in, NaN out of h");
        check(!std::isfinite(g[1][1].item<double>()), "NaN or infinity in, non-finite out of g");
        check(std::isnan(bad) == g[1][1].isnan().item<bool>(), "infinity stays infinity in g");
        check(
            (g.isfinite().logical_not().sum() + h.isfinite().logical_not().sum()).item<int>() == 2,
            "other samples and classes stay finite");
      }
    }
  }
}

// A bad value in a masked channel: not in g, but in h, which has no mask.
void masked_not_finite() {
  const at::Tensor mask = at::ones({4}, at::kBool);
  mask[1] = false;
  for (const double bad : {kNan, kInfinity}) {
    const at::Tensor features = at::rand({1, 4, 3, 3});
    features[0][1][2][0] = bad;
    const auto result = mc_loss(features, labels(1, 2), 2, mask, official(1, 1));
    check(result.class_scores.isfinite().all().item<bool>(), "a masked value is not in g");
    check(result.diversity[0][0].isnan().item<bool>(), "a masked value is in h");
    check(result.loss.isnan().item<bool>(), "a masked NaN or infinity makes the loss NaN");
  }
}

// -infinity at some positions is a softmax of 0; a channel of nothing else has none.
void minus_infinity() {
  Random random(7);
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    for (int64_t variant = 0; variant < 12; ++variant) {
      Case input = draw_case(random, {2, 7, 4, 5}, 3, variant);
      input.features.masked_fill_(random.uniform({2, 7, 4, 5}) < 0.3, -kInfinity);
      // A kept channel that is finite, so that every position of every class has a finite maximum.
      for (const int64_t channel : {0, 2, 4}) input.features.select(1, channel).clamp_min_(-9);
      if (input.mask.defined()) input.mask.fill_(true);
      input.features = input.features.to(dtype).to(at::kDouble);
      const Twin expected = input.expected();
      const bool half = dtype == at::kHalf || dtype == at::kBFloat16;
      const double tolerance = dtype == at::kDouble ? 1e-12 : 2e-6;
      for (const Layout layout : kLayouts) {
        const Outcome actual =
            run(mcloss::mc_loss, input, lay_out(input.features.to(dtype), layout));
        check_close(actual.results.class_scores, as_tensor(expected.g, {2, 3}), tolerance,
                    "-Inf: g");
        check_close(actual.results.diversity, as_tensor(expected.h, {2, 3}), tolerance, "-Inf: h");
        check_close(actual.grad, as_tensor(expected.grad, {2, 7, 4, 5}), half ? 4e-3 : tolerance,
                    "-Inf: gradient");
      }
    }
  }
  const at::Tensor features = at::rand({1, 4, 3, 3});
  features.select(1, 1).fill_(-kInfinity);
  const auto result = mc_loss(features, labels(1, 2), 2, {}, official(1, 1));
  check(result.class_scores.isfinite().all().item<bool>(), "-Inf in all of a channel: g is finite");
  check(result.diversity[0][0].isnan().item<bool>(), "-Inf in all of a channel: h is NaN");
  check(result.diversity[0][1].isfinite().item<bool>(), "and that of another class is not");
}

// Values that differ by more than exp can hold: no overflow, and the small ones are exactly 0.
void large_values() {
  for (const double scale : {1e2, 1e4, 1e30}) {
    Random random(11);
    Case input = draw_case(random, {2, 9, 4, 5}, 4, 3);
    input.features = (input.features * scale).to(at::kFloat).to(at::kDouble);
    input.weights.alpha = 0;  // a score of 1e30 is no logit
    input.upstream = {.loss = 100};
    const Twin expected = input.expected();
    for (const Layout layout : kLayouts) {
      const Outcome actual =
          run(mcloss::mc_loss, input, lay_out(input.features.to(at::kFloat), layout));
      const std::string name = "values of " + std::to_string(scale);
      check_close(actual.results.class_scores, as_tensor(expected.g, {2, 4}), 2e-6, name + ": g");
      check_close(actual.results.diversity, as_tensor(expected.h, {2, 4}), 2e-6, name + ": h");
      // Where a softmax is 1 at one position the gradient through h is a difference of equal numbers.
      check_close(actual.grad, as_tensor(expected.grad, {2, 9, 4, 5}), 2e-6, name + ": gradient",
                  expected.grad_scale);
    }
  }
}

// alpha = mu, beta = mu * lambda * xi: the same gradient where all groups are equal.
void forms() {
  const at::Tensor values = at::rand({3, 12, 4, 3}, at::kDouble);
  const at::Tensor a = values.clone().set_requires_grad(true);
  const at::Tensor b = values.clone().set_requires_grad(true);
  mc_loss(a, labels(3, 4), 4, {}, paper(0.5, 2)).loss.backward();
  mc_loss(b, labels(3, 4), 4, {}, official(0.5, 0.5 * 2 * 3)).loss.backward();
  check_close(b.grad(), a.grad(), 1e-13, "paper and official forms agree for equal groups");
  check_error("E_ARGUMENT", "alpha", [&] { mc_loss(a, labels(3, 4), 4, {}, official(kNan, 1)); });
  check_error("E_ARGUMENT", "lambda",
              [&] { mc_loss(a, labels(3, 4), 4, {}, paper(1, kInfinity)); });
  check_error("E_ARGUMENT", "per_xi",
              [&] { mc_loss(a, labels(3, 4), 4, {}, McTerms{.dis = 1, .per_xi = kNan}); });
}

void refusals() {
  const at::Tensor features = at::rand({2, 5, 3, 3});
  const at::Tensor target = labels(2, 2);
  const auto loss = [&](const at::Tensor& f, const at::Tensor& t, int64_t classes,
                        std::optional<at::Tensor> mask = std::nullopt) {
    return [=] { mc_loss(f, t, classes, mask, official(1, 1)); };
  };
  check_error("E_ARGUMENT", "at least one sample", loss(features.narrow(0, 0, 0), target, 2));
  check_error("E_ARGUMENT", "at least one", loss(at::rand({2, 5, 0, 3}), target, 2));
  check_error("E_ARGUMENT", "[N, C, H, W]", loss(features[0], target, 2));
  check_error("E_ARGUMENT", "float64", loss(features.to(at::kInt), target, 2));
  check_error("E_ARGUMENT", "5 channels for 6 classes", loss(features, target, 6));
  check_error("E_ARGUMENT", "0 classes", loss(features, target, 0));
  check_error("E_ARGUMENT", "a label 2", loss(features, target + 1, 2));
  check_error("E_ARGUMENT", "a label -1", loss(features, target - 1, 2));
  check_error("E_ARGUMENT", "target int64", loss(features, target.to(at::kInt), 2));
  check_error("E_ARGUMENT", "target int64", loss(features, labels(3, 2), 2));
  check_error("E_ARGUMENT", "mask bool", loss(features, target, 2, at::ones({4}, at::kBool)));
  check_error("E_ARGUMENT", "mask bool", loss(features, target, 2, at::ones({3, 5}, at::kBool)));
  check_error("E_ARGUMENT", "mask bool", loss(features, target, 2, at::ones({5})));
}

void second_derivative() {
  const at::Tensor features = at::rand({2, 5, 3, 3}).set_requires_grad(true);
  const auto result = mc_loss(features, labels(2, 2), 2, {}, official(1, 1));
  const auto first =
      torch::autograd::grad({result.loss}, {features}, {}, true, /*create_graph=*/true);
  try {
    first[0].sum().backward();
    check(false, "a second derivative is refused");
  } catch (const std::exception& error) {
    check(std::string(error.what()).find("mcloss::mc_loss_backward is not implemented") !=
              std::string::npos,
          "a second derivative is refused by name");
  }
}

// The operator's own rule: none. Under autocast it computes what it computes without.
void autocast() {
  const at::Tensor features = at::rand({2, 9, 5, 5});
  const auto grad_of = [&](bool cast) {
    const at::Tensor input = features.clone().set_requires_grad(true);
    at::autocast::set_autocast_enabled(at::kCPU, cast);
    const at::Tensor loss = mc_loss(input, labels(2, 4), 4, {}, official(1, 10)).loss;
    at::autocast::set_autocast_enabled(at::kCPU, false);
    loss.backward();
    return std::pair{loss, input.grad()};
  };
  const auto [loss, grad] = grad_of(false);
  const auto [cast_loss, cast_grad] = grad_of(true);
  check(cast_loss.scalar_type() == at::kFloat && cast_loss.equal(loss) && cast_grad.equal(grad),
        "autocast changes nothing");
}

}  // namespace

void mc_loss_edges() {
  test_case("mc_loss: golden", golden);
  test_case("mc_loss: ties", ties);
  test_case("mc_loss: non finite", non_finite);
  test_case("mc_loss: masked not finite", masked_not_finite);
  test_case("mc_loss: minus infinity", minus_infinity);
  test_case("mc_loss: large values", large_values);
  test_case("mc_loss: forms", forms);
  test_case("mc_loss: refusals", refusals);
  test_case("mc_loss: second derivative", second_derivative);
  test_case("mc_loss: autocast", autocast);
}

}  // namespace test
