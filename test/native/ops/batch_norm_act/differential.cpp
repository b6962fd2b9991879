// batch_norm_act against LibTorch's composition in float64 on the same stored (rounded) inputs, given
// the operator's own ReLU mask. Tolerance: max |difference| / max |reference| of each tensor; of
// d loss / d x the largest term counts, which cancel where a channel has few values; of y the largest
// value before the ReLU, which may leave none. Beside it stands
// the error of LibTorch's own operators in the same dtype, given their own mask.
#include <c10/util/accumulate.h>

#include <array>
#include <map>

#include "cases.h"
#include "ops/batch_norm_act/case.h"

namespace test {
namespace {

struct Dtype {
  const char* name;
  at::ScalarType type;
  double values, channels;  // tolerances of tensors in this dtype and of values per channel
};
constexpr Dtype kDtypes[] = {{"f64", at::kDouble, 1e-12, 1e-12},
                             {"f32", at::kFloat, 2e-6, 2e-6},
                             {"bf16", at::kBFloat16, 1.6e-2, 2e-6},
                             {"f16", at::kHalf, 2e-3, 2e-6}};

struct Named {
  const char* name;
  at::Tensor actual, expected;
  double scale;
  bool per_channel;
};

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

// What came out beside float64's, masked as it masks itself.
std::vector<Named> compared(const BnCase& input, const BnOutcome& actual) {
  const at::Tensor mask =
      input.relu ? (actual.y.to(at::kCPU, at::kDouble) > 0).to(at::kDouble) : at::Tensor();
  const BnOutcome expected =
      run_bn(input, at::kDouble, Layout::contiguous, at::kCPU,
             [&](const auto&... tensors) { return composed(tensors..., input, mask); });
  const at::Tensor inv_std =
      1 /
      ((input.training ? input.x.var(at::IntArrayRef{0, 2, 3}, false) : input.running_var) + 1e-5)
          .sqrt();
  const double term = largest((input.weight * inv_std).view({1, -1, 1, 1}) * input.grad);
  BnCase without = input;
  without.relu = false;
  const double before =
      largest(composed(input.x, input.residual, input.weight, input.bias,
                       input.running_mean.clone(), input.running_var.clone(), without));
  const auto scale = [](const at::Tensor& values) { return largest(values); };
  std::vector<Named> result = {
      {"y", actual.y, expected.y, before, false},
      {"grad_x", actual.grad_x, expected.grad_x, std::max(term, scale(expected.grad_x)), false},
      {"grad_weight", actual.grad_weight, expected.grad_weight, scale(expected.grad_weight), true},
      {"grad_bias", actual.grad_bias, expected.grad_bias, scale(expected.grad_bias), true},
      {"running_mean", actual.running_mean, expected.running_mean, scale(expected.running_mean),
       true},
      {"running_var", actual.running_var, expected.running_var, scale(expected.running_var), true}};
  if (input.residual.defined()) {
    result.push_back({"grad_residual", actual.grad_residual, expected.grad_residual,
                      scale(expected.grad_residual), false});
  }
  return result;
}

double error_of(const Named& named) {
  return largest(named.actual.to(at::kCPU, at::kDouble) - named.expected) /
         (named.scale > 0 ? named.scale : 1);
}

// The ReLU may fall to the other side of 0 only within rounding.
void check_mask(const BnCase& input, const BnOutcome& actual, double tolerance,
                const std::string& what) {
  BnCase without = input;
  without.relu = false;
  const at::Tensor before =
      composed(input.x, input.residual, input.weight, input.bias, input.running_mean.clone(),
               input.running_var.clone(), without);
  const at::Tensor other = (before > 0).ne(actual.y.to(at::kCPU, at::kDouble) > 0);
  check(largest(before * other) <= tolerance * largest(before), what + "mask");
}

// Largest error of each dtype: ours, LibTorch's.
std::map<std::string, std::array<double, 2>> worst;

void compare(const BnCase& drawn, const Dtype& dtype, Layout layout, bool with_libtorch) {
  const BnCase input = drawn.stored_as(dtype.type);
  std::string what = std::string("batch_norm_act ") + dtype.name + " " +
                     kLayoutNames[static_cast<int>(layout)] +
                     (input.residual.defined() ? " residual" : "") + (input.relu ? " relu" : "") +
                     (input.training ? " " : " frozen ");
  for (const int64_t size : input.x.sizes()) what += std::to_string(size) + " ";
  for (const at::DeviceType device : devices()) {
    const BnOutcome actual = run_fused(input, dtype.type, layout, device);
    check(actual.y.scalar_type() == dtype.type && actual.y.sizes() == input.x.sizes() &&
              actual.grad_x.scalar_type() == dtype.type,
          what + "dtypes and shapes");
    for (const Named& named : compared(input, actual)) {
      const double error = error_of(named),
                   tolerance = named.per_channel ? dtype.channels : dtype.values;
      check(error <= tolerance, what + named.name + ": " + std::to_string(error * 1e6) + "e-6");
      double& most = worst[std::string(dtype.name) + " " + named.name][0];
      most = std::max(most, error);
    }
    if (input.relu) check_mask(input, actual, dtype.values, what);
  }
  if (!with_libtorch) return;
  const BnOutcome theirs = run_bn(input, dtype.type, layout, at::kCPU, [&](const auto&... tensors) {
    return composed(tensors..., input);
  });
  for (const Named& named : compared(input, theirs)) {
    double& most = worst[std::string(dtype.name) + " " + named.name][1];
    most = std::max(most, error_of(named));
  }
}

// 120: one channel to more than a vector and than a cache line; few values, primes, more rows than a
// block and than a chunk.
std::vector<std::array<int64_t, 4>> shapes() {
  std::vector<std::array<int64_t, 4>> result;
  for (const int64_t channels : {1, 3, 8, 16, 17, 31, 64, 100}) {
    for (const auto [height, width] : std::initializer_list<std::array<int64_t, 2>>{
             {1, 1}, {1, 2}, {2, 3}, {5, 1}, {7, 7}, {13, 11}, {16, 20}}) {
      for (const int64_t samples : {2, 5}) result.push_back({samples, channels, height, width});
    }
  }
  result.insert(result.end(), {{2, 600, 9, 9},
                               {1, 64, 56, 56},
                               {3, 2048, 3, 3},
                               {1, 7, 97, 89},
                               {16, 24, 28, 28},
                               {1, 5, 1, 300},
                               {40, 33, 2, 2},
                               {2, 256, 14, 14}});
  return result;
}

void all_shapes() {
  Random random(31);
  int64_t index = 0;
  for (const auto& shape : shapes()) {
    if (c10::multiply_integers(shape) > most_values) continue;
    for (const bool residual : {false, true}) {
      for (const bool relu : {false, true}) {
        BnCase input = draw_bn(random, shape, residual, relu);
        for (const Dtype& dtype : kDtypes) {
          for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
            input.training = ++index % 5 != 0;
            compare(input, dtype, layout, index % 2 == 0);
          }
        }
        input.training = true;
        compare(input, kDtypes[index % 4], Layout::slice, false);
      }
    }
  }
}

// Means up to 1000 standard deviations, in float32: no worse than LibTorch's own operators, or within
// the tolerance of any other input.
void large_means() {
  Random random(1000);
  for (const double mean_in_sd : {10.0, 100.0, 1000.0}) {
    if (one_in > 1 && mean_in_sd < 1000) continue;
    double most_of_ours = 0, most_of_theirs = 0;
    for (const std::array<int64_t, 4> shape :
         {std::array<int64_t, 4>{4, 24, 28, 28}, {1, 64, 56, 56}, {16, 100, 7, 7}}) {
      for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
        for (const bool relu : {false, true}) {
          const BnCase input = draw_bn(random, shape, relu, relu, mean_in_sd).stored_as(at::kFloat);
          const auto ours = compared(input, run_fused(input, at::kFloat, layout));
          const auto theirs = compared(
              input, run_bn(input, at::kFloat, layout, at::kCPU,
                            [&](const auto&... tensors) { return composed(tensors..., input); }));
          for (size_t i = 0; i < ours.size(); ++i) {
            const double our_error = error_of(ours[i]), their_error = error_of(theirs[i]);
            most_of_ours = std::max(most_of_ours, our_error);
            most_of_theirs = std::max(most_of_theirs, their_error);
            check(our_error <= std::max(their_error, 2e-6),
                  std::string("batch_norm_act mean ") + std::to_string(mean_in_sd) + " sd, " +
                      ours[i].name + ": " + std::to_string(our_error * 1e6) + "e-6, LibTorch " +
                      std::to_string(their_error * 1e6) + "e-6");
          }
        }
      }
    }
    std::printf("batch_norm_act: means up to %g sd: largest error %.1e, LibTorch's %.1e\n",
                mean_in_sd, most_of_ours, most_of_theirs);
  }
}

// Gradients by central differences of the operator itself, in double.
void central_differences() {
  constexpr double kStep = 1e-5;
  Random random(77);
  for (int index = 0; index < 60; ++index) {
    const std::array<int64_t, 4> shape{random.between(2, 3), random.between(1, 5),
                                       random.between(1, 4), random.between(1, 4)};
    BnCase input = draw_bn(random, shape, index % 2 == 0, index % 4 < 2);
    input.training = index % 3 != 0;
    const Layout layout = kLayouts[index % 3];
    const auto total = [&] {
      const at::Tensor y = run_fused(input, at::kDouble, layout).y;
      return (y * input.grad).sum().item<double>();
    };
    BnCase without = input;
    without.relu = false;
    if (run_fused(without, at::kDouble, layout).y.abs().min().item<double>() < 100 * kStep)
      continue;
    const BnOutcome exact = run_fused(input, at::kDouble, layout);
    for (const auto& [values, grad, name] : {std::tuple{input.x, exact.grad_x, "x"},
                                             {input.residual, exact.grad_residual, "residual"},
                                             {input.weight, exact.grad_weight, "weight"},
                                             {input.bias, exact.grad_bias, "bias"}}) {
      if (!values.defined()) continue;
      const at::Tensor expected = at::empty_like(values);
      for (int64_t i = 0; i < values.numel(); ++i) {
        double& value = values.data_ptr<double>()[i];
        const double kept = value;
        value = kept + kStep;
        const double above = total();
        value = kept - kStep;
        expected.data_ptr<double>()[i] = (above - total()) / (2 * kStep);
        value = kept;
      }
      check_close(grad, expected, 1e-7,
                  std::string("batch_norm_act central differences of ") + name,
                  std::max(1.0, largest(expected)) * 10);
    }
  }
}

}  // namespace

void batch_norm_act_differential() {
  test_case("batch_norm_act: all shapes", all_shapes);
  for (const auto& [name, errors] : worst) {
    std::printf("batch_norm_act %s: largest error %.1e, LibTorch's %.1e\n", name.c_str(), errors[0],
                errors[1]);
  }
  test_case("batch_norm_act: large means", large_means);
  // Thousands of calls of a few shapes.
  if (one_in == 1) test_case("batch_norm_act: central differences", central_differences);
}

}  // namespace test
