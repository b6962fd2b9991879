// batch_norm_act at its edges: what it refuses, zeros and NaN, tensors left out, no gradient wanted,
// threads.
#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "cases.h"
#include "ops/batch_norm_act/case.h"

namespace test {
namespace {

using mcloss::batch_norm_act;
using mcloss::BatchNormActOptions;

at::Tensor with_grad(const at::Tensor& values) { return values.detach().set_requires_grad(true); }

void refusals() {
  const at::Tensor x = at::rand({2, 3, 4, 4}), ones = at::ones({3}), none;
  const auto refused = [&](const std::string& word, const at::Tensor& x, const at::Tensor& residual,
                           const at::Tensor& weight, const at::Tensor& mean, const at::Tensor& var,
                           bool training = true) {
    check_error("E_ARGUMENT", word, [&] {
      batch_norm_act(x, residual, weight, none, mean, var, {.training = training});
    });
  };
  refused("x of float64", x.to(at::kInt), none, ones, ones, ones);
  refused("[N, C, H, W] or [N, C]", x.flatten(2), none, ones, ones, ones);
  refused("at least one value", x.narrow(0, 0, 0), none, ones, ones, ones);
  refused("a residual like x", x, x.narrow(0, 0, 1), ones, ones, ones);
  refused("a residual like x", x, x.to(at::kDouble), ones, ones, ones);
  refused("weight Float [C]", x, none, at::ones({4}), ones, ones);
  refused("weight Float [C]", x.to(at::kBFloat16), none, ones.to(at::kBFloat16), ones, ones);
  refused("running_mean and running_var, or neither", x, none, ones, ones, none);
  refused("running statistics where training is false", x, none, ones, none, none, false);
  refused("more than one value per channel", x.narrow(0, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1),
          none, ones, ones, ones);
}

// A channel of equal values: y is exactly 0, where the ReLU's gradient is 0.
void zeros_and_nan() {
  for (const Layout layout : kLayouts) {
    for (const bool with_residual : {false, true}) {
      const at::Tensor bias = with_grad(at::zeros({5}));
      const at::Tensor x = with_grad(lay_out(at::full({3, 5, 4, 4}, 2.0), layout));
      const at::Tensor residual = with_residual ? at::zeros({3, 5, 4, 4}) : at::Tensor();
      const at::Tensor y = batch_norm_act(x, residual, {}, bias, {}, {}, {});
      y.sum().backward();
      check(y.eq(0).all().item<bool>() && bias.grad().eq(0).all().item<bool>() &&
                x.grad().eq(0).all().item<bool>(),
            "batch_norm_act: no gradient at the ReLU's zero");

      const at::Tensor some_nan = at::rand({3, 5, 4, 4});
      some_nan[1][2][3][1] = std::numeric_limits<double>::quiet_NaN();
      const at::Tensor mean = at::zeros({5}), var = at::ones({5});
      const at::Tensor of_nan =
          batch_norm_act(lay_out(some_nan, layout), residual, {}, {}, mean, var, {});
      for (int64_t c = 0; c < 5; ++c) {
        const bool expected = c == 2;
        check(of_nan.select(1, c).isnan().all().item<bool>() == expected &&
                  mean[c].isnan().item<bool>() == expected &&
                  var[c].isnan().item<bool>() == expected,
              "batch_norm_act: NaN fills its channel alone");
      }
    }
  }
}

void left_out() {
  const at::Tensor x = at::randn({4, 6, 5, 5}), ones = at::ones({6}), zeros = at::zeros({6});
  const at::Tensor y = batch_norm_act(x, {}, {}, {}, {}, {}, {});
  check(y.equal(batch_norm_act(x, {}, ones, zeros, {}, {}, {})),
        "batch_norm_act: no weight is 1, no bias is 0");

  // Only x, or only the residual, wants a gradient.
  const at::Tensor only = with_grad(x);
  batch_norm_act(only, x, ones, zeros, {}, {}, {}).sum().backward();
  const at::Tensor residual = with_grad(x);
  const at::Tensor plain = batch_norm_act(x, residual, {}, {}, {}, {}, {.relu = false});
  plain.sum().backward();
  check(only.grad().defined() && residual.grad().eq(1).all().item<bool>(),
        "batch_norm_act: gradients of x alone, of the residual alone");

  const at::Tensor mean = zeros.clone(), var = ones.clone();
  const auto version = mean._version();
  const c10::NoGradGuard no_grad;
  const at::Tensor frozen = batch_norm_act(x, {}, ones, zeros, mean, var, {.training = false});
  check(mean._version() == version && mean.equal(zeros) && !frozen.requires_grad(),
        "batch_norm_act: evaluation leaves the running statistics");
  batch_norm_act(x, {}, ones, zeros, mean, var, {});
  check(mean._version() > version && !mean.equal(zeros),
        "batch_norm_act: training moves them, and says so");

  const at::Tensor flat = at::randn({32, 6});
  check_close(
      batch_norm_act(flat, {}, ones, zeros, {}, {}, {}),
      at::relu(at::batch_norm(flat.to(at::kDouble), {}, {}, {}, {}, true, 0.1, 1e-5, false)), 2e-6,
      "batch_norm_act: [N, C]");
}

void no_second_derivative() {
  const at::Tensor x = with_grad(at::randn({2, 3, 4, 4}));
  const at::Tensor y = batch_norm_act(x, {}, {}, {}, {}, {}, {});
  try {
    const at::Tensor grad = with_grad(at::rand({2, 3, 4, 4}));
    y.backward(grad, /*retain_graph=*/true, /*create_graph=*/true);
    x.grad().sum().backward();
    check(false, "batch_norm_act: a second derivative is refused");
  } catch (const c10::Error& error) {
    const std::string words = "derivative for mcloss::batch_norm_act_backward is not implemented";
    check(std::string(error.what()).find(words) != std::string::npos,
          "batch_norm_act: a second derivative is refused by name");
  }
}

void thread_counts() {
  const int before = at::get_num_threads();
  Random random(5);
  for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
    const BnCase input = draw_bn(random, {4, 40, 61, 33}, true, true);
    at::set_num_threads(1);
    const BnOutcome one = run_fused(input, at::kFloat, layout);
    at::set_num_threads(3);
    const BnOutcome three = run_fused(input, at::kFloat, layout);
    check(one.y.equal(three.y) && one.grad_x.equal(three.grad_x) &&
              one.grad_residual.equal(three.grad_residual) &&
              one.grad_weight.equal(three.grad_weight) && one.grad_bias.equal(three.grad_bias) &&
              one.running_mean.equal(three.running_mean) &&
              one.running_var.equal(three.running_var),
          "batch_norm_act: same bits from one and three threads");
  }
  at::set_num_threads(before);
}

}  // namespace

void batch_norm_act_edges() {
  test_case("batch_norm_act: refusals", refusals);
  test_case("batch_norm_act: zeros and nan", zeros_and_nan);
  test_case("batch_norm_act: left out", left_out);
  test_case("batch_norm_act: no second derivative", no_second_derivative);
  // A large shape, and a question of the CPU alone.
  if (one_in == 1) test_case("batch_norm_act: thread counts", thread_counts);
}

}  // namespace test
