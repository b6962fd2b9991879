// mc_loss where the formulas are special: golden values, ties, masks, NaN, the two forms, and what
// it refuses.
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
#include "check.h"
#include "ops/mc_loss.h"

namespace test {
namespace {

using mcloss::LossForm;
using mcloss::McWeights;
using mcloss::mc_loss;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

McWeights official(double alpha, double beta) {
  return {.form = LossForm::official, .alpha = alpha, .beta = beta};
}
McWeights paper(double mu, double lambda) {
  return {.form = LossForm::paper, .mu = mu, .lambda = lambda};
}
at::Tensor labels(int64_t n, int64_t classes) { return at::arange(n, at::kLong).remainder(classes); }

void golden() {
  const auto cub = mc_loss(at::full({2, 2048, 3, 5}, 0.3, at::kDouble), labels(2, 200), 200, {},
                           official(0, 1));
  check_close(cub.diversity, at::ones({2, 200}), 1e-12, "constant maps: h = 1");
  check(std::abs(1 - cub.loss.item<double>() - 0.0978182) < 5e-8, "CUB-2048: mean of h / xi");

  // Peaks so sharp that a softmax is 1 at one position: disjoint peaks score xi, identical peaks 1.
  at::Tensor peaks = at::zeros({2, 3, 2, 2}, at::kDouble);
  for (int64_t channel = 0; channel < 3; ++channel) {
    peaks[0][channel][channel / 2][channel % 2] = 100;
    peaks[1][channel][1][0] = 100;
  }
  const at::Tensor h = std::get<1>(mcloss::mc_scores(peaks, {}, 1));
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
      const auto [g, h] = mcloss::mc_scores(features, given, 1);
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

void non_finite() {
  for (const double bad : {kNan, kInfinity}) {
    const at::Tensor features = at::rand({2, 7, 3, 3});
    features[1][2][1][1] = bad;  // class 1 of 3, which owns channels 2 and 3
    for (const auto scores : {&mcloss::mc_scores, &mcloss::mc_scores_reference}) {
      const auto [g, h] = scores(features, {}, 3);
      check(h[1][1].isnan().item<bool>(), "NaN or infinity in, NaN out of h");
      check(!std::isfinite(g[1][1].item<double>()), "NaN or infinity in, non-finite out of g");
      check(std::isnan(bad) == g[1][1].isnan().item<bool>(), "infinity stays infinity in g");
      check((g.isfinite().logical_not().sum() + h.isfinite().logical_not().sum()).item<int>() == 2,
            "other samples and classes stay finite");
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
  check_error("E_ARGUMENT", "lambda", [&] { mc_loss(a, labels(3, 4), 4, {}, paper(1, kInfinity)); });
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
  const at::Tensor h = std::get<1>(mcloss::mc_scores(features, {}, 2));
  const auto first = torch::autograd::grad({h.sum()}, {features}, {}, true, /*create_graph=*/true);
  try {
    first[0].sum().backward();
    check(false, "a second derivative is refused");
  } catch (const std::exception& error) {
    check(std::string(error.what()).find("mcloss::mc_scores_backward is not implemented") !=
              std::string::npos,
          "a second derivative is refused by name");
  }
}

}  // namespace

void mc_loss_edges() {
  golden();
  ties();
  non_finite();
  forms();
  refusals();
  second_derivative();
}

}  // namespace test
