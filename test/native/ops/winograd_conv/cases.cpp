// winograd_conv against LibTorch's conv2d in float64 on the same stored inputs, and at its edges.
// Tolerance: max |difference| / max |reference| of each tensor. Beside it stands the error of LibTorch's
// conv2d in float32.
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "cases.h"
#include "models/layers.h"
#include "ops/mc_loss/case.h"
#include "ops/winograd_conv.h"

namespace test {
namespace {

using mcloss::winograd_conv;

// All double and contiguous; bias may be undefined.
struct ConvCase {
  at::Tensor x, weight, bias, grad;

  std::string name() const {
    std::string text = bias.defined() ? "winograd_conv with bias " : "winograd_conv ";
    for (const int64_t size : x.sizes()) text += std::to_string(size) + " ";
    return text + "to " + std::to_string(weight.size(0)) + ": ";
  }
};

ConvCase draw_conv(Random& random, std::array<int64_t, 4> sizes, int64_t out, bool with_bias) {
  const auto [n, in, h, w] = sizes;
  const auto draw = [&](at::IntArrayRef shape) {
    return (random.uniform(shape) * 2 - 1).to(at::kFloat).to(at::kDouble);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(9 * in));
  return {draw({n, in, h, w}), (draw({out, in, 3, 3}) * scale).to(at::kFloat).to(at::kDouble),
          with_bias ? draw({out}) : at::Tensor(), draw({n, out, h, w})};
}

struct ConvOutcome {
  at::Tensor y, grad_x, grad_weight, grad_bias;
};

template <typename Call>
ConvOutcome run_conv(const ConvCase& input, at::ScalarType dtype, Layout layout, const Call& call) {
  const auto values = [&](const at::Tensor& from) {
    return from.defined() ? lay_out(from.to(dtype), layout).detach().set_requires_grad(true) : from;
  };
  const at::Tensor x = values(input.x), weight = values(input.weight);
  const at::Tensor bias =
      input.bias.defined() ? input.bias.to(dtype).clone().set_requires_grad(true) : at::Tensor();
  const at::Tensor y = call(x, weight, bias);
  y.backward(lay_out(input.grad.to(dtype), layout));
  return {y.detach(), x.grad(), weight.grad(), bias.defined() ? bias.grad() : at::Tensor()};
}

at::Tensor libtorch_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::conv2d(x, weight, bias, /*stride=*/1, /*padding=*/1);
}

struct NamedTensor {
  const char* name;
  at::Tensor values;
};
std::array<NamedTensor, 4> named(const ConvOutcome& outcome) {
  return {{{"y", outcome.y},
           {"grad_x", outcome.grad_x},
           {"grad_weight", outcome.grad_weight},
           {"grad_bias", outcome.grad_bias}}};
}

double error_of(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

// One channel to several panels, less than a vector, a panel of one vector; one position, odd sizes,
// fewer tiles than a block, more than a batch.
std::vector<std::array<int64_t, 5>> conv_shapes() {
  std::vector<std::array<int64_t, 5>> result;  // N, in, H, W, out
  for (const auto [in, out] : std::initializer_list<std::array<int64_t, 2>>{{1, 1},
                                                                            {3, 20},
                                                                            {17, 5},
                                                                            {16, 16},
                                                                            {31, 47},
                                                                            {48, 16},
                                                                            {32, 80},
                                                                            {100, 75},
                                                                            {64, 136}}) {
    for (const auto [height, width] : std::initializer_list<std::array<int64_t, 2>>{
             {1, 1}, {1, 2}, {2, 1}, {2, 2}, {3, 3}, {1, 9}, {7, 7}, {8, 5}, {14, 13}}) {
      for (const int64_t samples : {1, 3}) {
        result.push_back({samples, in, height, width, out});
      }
    }
  }
  result.insert(result.end(), {{16, 64, 56, 56, 64},
                               {16, 128, 28, 28, 128},
                               {16, 256, 14, 14, 256},
                               {16, 512, 7, 7, 512},
                               {2, 16, 151, 97, 32},
                               {2, 600, 14, 14, 600}});
  return result;
}

void every_shape() {
  Random random(9);
  double ours = 0, theirs = 0, wide = 0;
  int64_t index = 0;
  for (const auto& [n, in, h, w, out] : conv_shapes()) {
    const ConvCase input = draw_conv(random, {n, in, h, w}, out, ++index % 2 == 0);
    const auto expected = named(run_conv(input, at::kDouble, Layout::contiguous, libtorch_conv));
    const auto libtorch = named(run_conv(input, at::kFloat, Layout::channels_last, libtorch_conv));
    for (const Layout layout : kLayouts) {
      const auto narrow = named(run_conv(input, at::kFloat, layout, winograd_conv));
      const auto exact = named(run_conv(input, at::kDouble, layout, winograd_conv));
      for (size_t i = 0; i < expected.size(); ++i) {
        if (!expected[i].values.defined()) continue;
        const double error = error_of(narrow[i].values, expected[i].values);
        const std::string what = input.name() + expected[i].name;
        check(error <= 2e-6, what + " f32: " + std::to_string(error * 1e6) + "e-6");
        check_close(exact[i].values, expected[i].values, 1e-12, what + " f64");
        ours = std::max(ours, error);
        theirs = std::max(theirs, error_of(libtorch[i].values, expected[i].values));
        wide = std::max(wide, error_of(exact[i].values, expected[i].values));
      }
      check(narrow[0].values.is_contiguous(at::MemoryFormat::ChannelsLast),
            input.name() + "channels_last");
    }
  }
  std::printf("winograd_conv: largest error f32 %.1e, LibTorch's conv2d %.1e; f64 %.1e\n", ours,
              theirs, wide);
}

// The gradient of one tensor where only that one is wanted: the same bits.
void wanted_alone() {
  Random random(3);
  const ConvCase input = draw_conv(random, {2, 32, 9, 6}, 48, true);
  const auto all = run_conv(input, at::kFloat, Layout::channels_last, winograd_conv);
  const std::array<at::Tensor, 3> expected = {all.grad_x, all.grad_weight, all.grad_bias};
  for (size_t wanted = 0; wanted < 3; ++wanted) {
    std::array<at::Tensor, 3> given = {input.x.to(at::kFloat), input.weight.to(at::kFloat),
                                       input.bias.to(at::kFloat)};
    given[wanted].set_requires_grad(true);
    winograd_conv(given[0], given[1], given[2]).backward(input.grad.to(at::kFloat));
    for (size_t i = 0; i < 3; ++i) {
      check(i == wanted ? given[i].grad().equal(expected[i]) : !given[i].grad().defined(),
            "winograd_conv: the gradient of tensor " + std::to_string(wanted) + " alone");
    }
  }
}

void refusals() {
  const at::Tensor x = at::rand({2, 16, 5, 5}), weight = at::rand({32, 16, 3, 3}), none;
  const auto refused = [&](const std::string& word, const at::Tensor& x, const at::Tensor& weight,
                           const at::Tensor& bias) {
    check_error("E_ARGUMENT", word, [&] { winograd_conv(x, weight, bias); });
  };
  refused("float32 or float64", x.to(at::kBFloat16), weight.to(at::kBFloat16), none);
  refused("[N, C, H, W]", x[0], weight, none);
  refused("at least one value", x.narrow(0, 0, 0), weight, none);
  refused("weight [out, in, 3, 3]", x, weight.to(at::kDouble), none);
  refused("weight [out, in, 3, 3]", x, weight.narrow(2, 0, 1), none);
  refused("weight [out, in, 3, 3]", x.narrow(1, 0, 8), weight, none);
  refused("weight [out, in, 3, 3]", x, weight.narrow(0, 0, 0), none);
  refused("bias [out]", x, weight, at::zeros({16}));
  refused("bias [out]", x, weight, at::zeros({32}, at::kDouble));
  const auto backward =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mcloss::winograd_conv_backward", "")
          .typed<std::tuple<at::Tensor, at::Tensor, at::Tensor>(
              const at::Tensor&, const at::Tensor&, const at::Tensor&, std::array<bool, 3>)>();
  check_error("E_ARGUMENT", "grad like the result",
              [&] { backward.call(at::rand({2, 32, 5, 4}), x, weight, {true, true, true}); });
}

void no_second_derivative() {
  const at::Tensor x = at::rand({1, 16, 4, 4}).set_requires_grad(true);
  const at::Tensor grad = at::rand({1, 16, 4, 4}).set_requires_grad(true);
  try {
    winograd_conv(x, at::rand({16, 16, 3, 3}), {}).backward(grad, true, /*create_graph=*/true);
    x.grad().sum().backward();
    check(false, "winograd_conv: a second derivative is refused");
  } catch (const c10::Error& error) {
    const std::string words = "derivative for mcloss::winograd_conv_backward is not implemented";
    check(std::string(error.what()).find(words) != std::string::npos,
          "winograd_conv: a second derivative is refused by name");
  }
}

// A value that is not finite reaches what the sum over the filter reads it for, and no tile that does not
// read it: of position (4, 4) those are rows and columns 2 to 5 of the results.
void not_finite() {
  const at::Tensor weight = at::rand({16, 16, 3, 3});
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const at::Tensor x = at::rand({3, 16, 12, 12});
    x[1][5][4][4] = value;
    const at::Tensor spoilt = winograd_conv(x, weight, {}).isfinite().logical_not();
    check(spoilt[1].slice(1, 3, 6).slice(2, 3, 6).all().item<bool>(),
          "winograd_conv: not finite reaches its neighbours");
    const at::Tensor near = spoilt[1].slice(1, 2, 6).slice(2, 2, 6);
    check(spoilt.sum().equal(near.sum()), "winograd_conv: not finite stays near");
  }
}

// Strides of 0: a gradient and an input that are one value; a bias that is a slice.
void expanded() {
  const at::Tensor weight = at::rand({20, 18, 3, 3}), wide = at::rand({40});
  const auto run = [&](const at::Tensor& one, const at::Tensor& bias) {
    const at::Tensor x = one.detach().set_requires_grad(true);
    const at::Tensor y = winograd_conv(x, weight, bias);
    y.sum().backward();
    return std::array{y.detach(), x.grad()};
  };
  const at::Tensor one = at::rand({1, 1, 1, 1}).expand({2, 18, 5, 4}),
                   bias = wide.slice(0, 0, 40, 2);
  const auto [y, grad] = run(one, bias);
  const auto [same_y, same_grad] = run(one.contiguous(), bias.contiguous());
  check(y.equal(same_y) && grad.equal(same_grad), "winograd_conv: strides of 0");
}

void thread_counts() {
  const int before = at::get_num_threads();
  Random random(5);
  for (const auto& [n, in, h, w, out] : std::initializer_list<std::array<int64_t, 5>>{
           {5, 48, 31, 30, 80}, {3, 256, 7, 7, 256}, {2, 16, 151, 151, 1}, {4, 20, 60, 61, 36}}) {
    const ConvCase input = draw_conv(random, {n, in, h, w}, out, true);
    at::set_num_threads(1);
    const auto one = named(run_conv(input, at::kFloat, Layout::channels_last, winograd_conv));
    for (const int threads : {3, 8}) {
      at::set_num_threads(threads);
      const auto more = named(run_conv(input, at::kFloat, Layout::channels_last, winograd_conv));
      for (size_t i = 0; i < one.size(); ++i) {
        check(one[i].values.equal(more[i].values),
              input.name() + one[i].name + ": same bits from one and more threads");
      }
    }
  }
  at::set_num_threads(before);
}

// A layer takes the operator where it says so, and gives what conv2d gives everywhere.
void layers() {
  const auto compare = [](const mcloss::ConvOptions& options, at::MemoryFormat format,
                          at::ScalarType dtype, bool takes) {
    const auto [fused, reference] = std::pair{mcloss::Conv2d(options, mcloss::Impl::fused),
                                              mcloss::Conv2d(options, mcloss::Impl::reference)};
    const at::Tensor x = at::randn({2, options.in, 11, 10}).to(dtype).contiguous(format);
    const at::Tensor weight = at::randn(fused.weight.sizes()).to(dtype);
    fused.weight.set_data(weight);
    reference.weight.set_data(weight);
    if (options.bias) {
      const at::Tensor bias = at::randn(fused.bias.sizes());
      fused.bias.set_data(bias);
      reference.bias.set_data(bias);
    }
    const at::Tensor one = fused.forward(x), other = reference.forward(x);
    const bool ours = one.grad_fn()->name().find("WinogradConv") != std::string::npos;
    const std::string what = "Conv2d " + std::to_string(options.in) + " to " +
                             std::to_string(options.out) + " by " + one.grad_fn()->name();
    check(ours == takes, what);
    check(other.grad_fn()->name().find("WinogradConv") == std::string::npos, what + ", reference");
    if (one.scalar_type() == at::kFloat) check_close(one.detach(), other.detach(), 4e-6, what);
  };
  constexpr auto kLast = at::MemoryFormat::ChannelsLast;
  compare({32, 48, 3, 1, 1}, kLast, at::kFloat, true);
  compare({32, 48, 3, 1, 1}, at::MemoryFormat::Contiguous, at::kFloat, false);
  compare({32, 48, 3, 1, 1}, kLast, at::kBFloat16, false);
  compare({32, 48, 3, 2, 1}, kLast, at::kFloat, false);
  compare({32, 48, 3, 1, 0}, kLast, at::kFloat, false);
  compare({32, 48, 1, 1, 1}, kLast, at::kFloat, false);
  compare({3, 48, 3, 1, 1}, kLast, at::kFloat, false);
  compare({32, 8, 3, 1, 1}, kLast, at::kFloat, false);
  compare({17, 40, 3, 1, 1}, kLast, at::kFloat, true);
  compare({16, 16, 3, 1, 1}, kLast, at::kFloat, true);
  compare({15, 16, 3, 1, 1}, kLast, at::kFloat, false);
  compare({32, 48, 3, 1, 1, /*bias=*/true}, kLast, at::kFloat, true);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  compare({32, 48, 3, 1, 1}, kLast, at::kFloat, false);
  at::autocast::set_autocast_enabled(at::kCPU, false);
}

}  // namespace

void winograd_conv_cases() {
  test_case("winograd_conv: every shape", every_shape);
  test_case("winograd_conv: wanted alone", wanted_alone);
  test_case("winograd_conv: refusals", refusals);
  test_case("winograd_conv: no second derivative", no_second_derivative);
  test_case("winograd_conv: not finite", not_finite);
  test_case("winograd_conv: expanded", expanded);
  test_case("winograd_conv: thread counts", thread_counts);
  test_case("winograd_conv: layers", layers);
}

}  // namespace test
