// mc_scores on random small shapes: values against the twin, gradient against central differences
// of the twin, and the composition of LibTorch's operators against both. Inputs with two values
// closer than a difference step can tell apart (a kink) are drawn again.
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>

#include "cases.h"
#include "check.h"
#include "mc_loss_twin.h"
#include "ops/mc_loss.h"

namespace test {
namespace {

constexpr int kShapes = 200;
constexpr double kStep = 1e-5;

struct Draw {
  at::Tensor features, mask;  // mask: [C], [N, C] or undefined
  int64_t classes;
  at::Tensor wide_mask() const {
    return mask.defined() ? mask.expand({features.size(0), features.size(1)}).contiguous() : mask;
  }
};

Draw draw(std::mt19937& random, int index) {
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint32_t>(high - low + 1));
  };
  Draw result;
  result.classes = index % 10 == 0 ? 1 : between(1, 4);
  const int64_t n = between(1, 3), c = result.classes + between(0, 8);
  const int64_t h = index % 10 == 1 ? 1 : between(1, 5), w = index % 10 == 1 ? 1 : between(1, 5);
  const auto uniform = [&](at::IntArrayRef sizes) {
    at::Tensor values = at::empty(sizes, at::kDouble);
    for (int64_t i = 0; i < values.numel(); ++i) {
      values.data_ptr<double>()[i] = random() / 4294967296.0;
    }
    return values;
  };
  if (index % 3 == 1) result.mask = uniform({c}) < 0.5;
  if (index % 3 == 2) result.mask = uniform({n, c}) < 0.5;
  do {
    result.features = uniform({n, c, h, w}) * 8 - 3;
  } while (twin(result.features, result.wide_mask(), result.classes).gap < 10 * kStep);
  return result;
}

// sum a * g + b * h, a and b [N, K].
double weighted(const Draw& input, const at::Tensor& a, const at::Tensor& b) {
  const Twin values = twin(input.features, input.wide_mask(), input.classes);
  double sum = 0;
  for (size_t i = 0; i < values.g.size(); ++i) {
    sum += a.const_data_ptr<double>()[i] * values.g[i] + b.const_data_ptr<double>()[i] * values.h[i];
  }
  return sum;
}

at::Tensor central_differences(const Draw& input, const at::Tensor& a, const at::Tensor& b) {
  at::Tensor grad = at::empty_like(input.features);
  double* values = input.features.data_ptr<double>();
  for (int64_t i = 0; i < grad.numel(); ++i) {
    const double value = values[i];
    values[i] = value + kStep;
    const double above = weighted(input, a, b);
    values[i] = value - kStep;
    const double below = weighted(input, a, b);
    values[i] = value;
    grad.data_ptr<double>()[i] = (above - below) / (2 * kStep);
  }
  return grad;
}

using Scores = std::tuple<at::Tensor, at::Tensor> (*)(const at::Tensor&,
                                                      const std::optional<at::Tensor>&, int64_t);

void compare(const Draw& input, const std::string& name) {
  const std::vector<int64_t> shape{input.features.size(0), input.classes};
  const at::Tensor a = at::randn(shape, at::kDouble), b = at::randn(shape, at::kDouble);
  const Twin expected = twin(input.features, input.wide_mask(), input.classes);
  const at::Tensor g = at::empty(shape, at::kDouble), h = at::empty(shape, at::kDouble);
  std::copy(expected.g.begin(), expected.g.end(), g.data_ptr<double>());
  std::copy(expected.h.begin(), expected.h.end(), h.data_ptr<double>());
  const at::Tensor grad = central_differences(input, a, b);
  std::optional<at::Tensor> mask;
  if (input.mask.defined()) mask = input.mask;

  const std::pair<const char*, Scores> forms[] = {{"cpu", &mcloss::mc_scores},
                                                  {"reference", &mcloss::mc_scores_reference}};
  for (const auto& [form, scores] : forms) {
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      for (const Layout layout : kLayouts) {
        const at::Tensor features = lay_out(input.features.to(dtype), layout);
        features.set_requires_grad(true);
        const auto [class_scores, diversity] = scores(features, mask, input.classes);
        ((class_scores * a).sum() + (diversity * b).sum()).backward();
        const std::string what = name + " " + form + (dtype == at::kFloat ? " f32 " : " f64 ") +
                                 kLayoutNames[static_cast<int>(layout)];
        // Float features here are rounded, unlike the twin's: allow for that too.
        const double values = dtype == at::kFloat ? 1e-5 : 1e-12;
        check_close(class_scores, g, values, what + " g");
        check_close(diversity, h, values, what + " h");
        check_close(features.grad(), grad, dtype == at::kFloat ? 1e-4 : 1e-8, what + " grad", 1);
      }
    }
  }
}

}  // namespace

void mc_loss_random() {
  std::mt19937 random(2020);
  for (int index = 0; index < kShapes; ++index) {
    const Draw input = draw(random, index);
    std::string name = "random";
    for (const int64_t size : input.features.sizes()) name += " " + std::to_string(size);
    compare(input, name + " / " + std::to_string(input.classes));
  }
}

}  // namespace test
