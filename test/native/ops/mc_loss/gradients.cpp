// Gradients by central differences, in double, through each of the five results: of the operator, of
// the composition of LibTorch's operators, and of the plain-loop twin that the other tests hold the
// operator against. Inputs with two values closer than a difference step can tell apart (a kink) are
// drawn again.
#include "cases.h"
#include "ops/mc_loss/case.h"

namespace test {
namespace {

constexpr int kShapes = 240;
constexpr double kStep = 1e-5;

Case draw(Random& random, int index) {
  const int64_t classes = index % 10 == 0 ? 1 : random.between(1, 4);
  const int64_t h = index % 10 == 1 ? 1 : random.between(1, 5);
  const int64_t w = index % 10 == 1 ? 1 : random.between(1, 5);
  const std::array<int64_t, 4> sizes{random.between(1, 3), classes + random.between(0, 8), h, w};
  for (;;) {
    Case result = draw_case(random, sizes, classes, index);
    if (result.expected().gap >= 10 * kStep) return result;
  }
}

at::Tensor central_differences(const Case& input) {
  at::Tensor grad = at::empty_like(input.features);
  double* values = input.features.data_ptr<double>();
  for (int64_t i = 0; i < grad.numel(); ++i) {
    const double value = values[i];
    values[i] = value + kStep;
    const double above = input.expected().total;
    values[i] = value - kStep;
    const double below = input.expected().total;
    values[i] = value;
    grad.data_ptr<double>()[i] = (above - below) / (2 * kStep);
  }
  return grad;
}

void gradients() {
  Random random(2020);
  for (int index = 0; index < kShapes / one_in; ++index) {
    const Case input = draw(random, index);
    const std::string name = "gradient " + input.name();
    const Twin exact = input.expected();
    const at::Tensor expected = central_differences(input);
    const auto close = [&](const at::Tensor& actual, const std::string& what) {
      check_close(actual, expected, 1e-7, what, exact.grad_scale);
    };
    close(as_tensor(exact.grad, expected.sizes()), name + " twin");
    for (const Layout layout : kLayouts) {
      const at::Tensor features = lay_out(input.features, layout);
      const std::string what = name + " " + kLayoutNames[static_cast<int>(layout)];
      close(run(mcloss::mc_loss, input, features).grad, what);
      close(run(mcloss::mc_loss_reference, input, features).grad, what + " reference");
    }
  }
}

}  // namespace

void mc_loss_gradients() { test_case("mc_loss: gradients", gradients); }

}  // namespace test
