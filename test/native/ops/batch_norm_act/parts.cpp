// batch_norm_act in its four parts: two parts of a batch whose sums are merged give what LibTorch's
// composition gives of the whole batch in float64.
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <array>
#include <vector>

#include "cases.h"
#include "ops/batch_norm_act/case.h"

namespace test {
namespace {

// The sums of all parts, each double [3, C].
at::Tensor merged(const std::vector<at::Tensor>& parts) {
  const at::Tensor all = at::stack(parts, 1);  // [3, parts, C]
  const at::Tensor n = all[0], mean = all[1], m2 = all[2];
  const at::Tensor count = n.sum(0), of_all = (n * mean).sum(0) / count;
  return at::stack({count, of_all, (m2 + n * (mean - of_all).square()).sum(0)});
}

BnOutcome in_parts(const BnCase& input, at::ScalarType dtype, Layout layout, at::DeviceType device,
                   const std::vector<int64_t>& sizes) {
  const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const auto cut = [&](const at::Tensor& whole) {
    std::vector<at::Tensor> parts;
    if (!whole.defined()) return std::vector<at::Tensor>(sizes.size());
    for (const at::Tensor& part : whole.split_with_sizes(sizes)) {
      parts.push_back(lay_out(part.to(dtype), layout).to(device));
    }
    return parts;
  };
  const auto channels = [&](const at::Tensor& values) { return values.to(device, wide); };
  const auto x = cut(input.x), residual = cut(input.residual), grad = cut(input.grad);
  const bool has_residual = input.residual.defined();
  std::vector<at::Tensor> sums, saved, y, grad_x, grad_residual, running_mean, running_var;
  for (const at::Tensor& part : x) sums.push_back(mcloss::batch_norm_act_sums(part));
  const at::Tensor moments = merged(sums);
  for (size_t i = 0; i < x.size(); ++i) {
    running_mean.push_back(channels(input.running_mean).clone());
    running_var.push_back(channels(input.running_var).clone());
    const auto forward = mcloss::batch_norm_act_from_sums(
        x[i], residual[i], channels(input.weight), channels(input.bias), running_mean[i],
        running_var[i], moments, {.relu = input.relu});
    y.push_back(forward.y);
    saved.push_back(forward.saved);
  }
  check(saved[0].equal(saved[1]) && running_mean[0].equal(running_mean[1]) &&
            running_var[0].equal(running_var[1]),
        "batch_norm_act in parts: each has the same statistics");
  BnOutcome result;
  std::vector<mcloss::BatchNormActBackwardSums> backward;
  at::Tensor of_all = at::zeros_like(moments);
  for (size_t i = 0; i < x.size(); ++i) {
    const at::Tensor known = has_residual && input.relu ? y[i] : at::Tensor();
    backward.push_back(mcloss::batch_norm_act_backward_sums(grad[i], x[i], known, saved[i],
                                                            input.relu, has_residual));
    of_all += backward[i].sums;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    grad_x.push_back(has_residual ? mcloss::batch_norm_act_backward_from_sums(
                                        backward[i].masked, x[i], {}, saved[i], of_all, false)
                                  : mcloss::batch_norm_act_backward_from_sums(
                                        grad[i], x[i], {}, saved[i], of_all, input.relu));
    grad_residual.push_back(backward[i].masked);
  }
  result.y = at::cat(y);
  result.running_mean = running_mean[0];
  result.running_var = running_var[0];
  result.grad_x = at::cat(grad_x);
  if (has_residual) result.grad_residual = at::cat(grad_residual);
  result.grad_weight = backward[0].grad_weight + backward[1].grad_weight;
  result.grad_bias = backward[0].grad_bias + backward[1].grad_bias;
  return result;
}

void as_the_whole_batch() {
  Random random(12);
  for (const std::array<int64_t, 4> shape :
       {std::array<int64_t, 4>{5, 16, 3, 4}, {3, 7, 5, 5}, {4, 70, 2, 2}}) {
    for (const bool residual : {false, true}) {
      for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
        for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
          const double tolerance = dtype == at::kDouble ? 1e-12 : 2e-6;
          const BnCase input = draw_bn(random, shape, residual, true).stored_as(dtype);
          for (const at::DeviceType device : devices()) {
            const BnOutcome parts = in_parts(input, dtype, layout, device, {2, shape[0] - 2});
            const at::Tensor mask = (parts.y.cpu() > 0).to(at::kDouble);
            const BnOutcome whole =
                run_bn(input, at::kDouble, Layout::contiguous, at::kCPU,
                       [&](const auto&... all) { return composed(all..., input, mask); });
            for (const auto& [actual, expected, name] :
                 {std::tuple{parts.y, whole.y, "y"},
                  {parts.running_mean, whole.running_mean, "running_mean"},
                  {parts.running_var, whole.running_var, "running_var"},
                  {parts.grad_x, whole.grad_x, "grad_x"},
                  {parts.grad_residual, whole.grad_residual, "grad_residual"},
                  {parts.grad_weight, whole.grad_weight, "grad_weight"},
                  {parts.grad_bias, whole.grad_bias, "grad_bias"}}) {
              if (!expected.defined()) continue;
              check_close(actual, expected, tolerance,
                          std::string("batch_norm_act in parts: ") + name);
            }
          }
        }
      }
    }
  }
}

void refusals_of_parts() {
  const at::Tensor x = at::zeros({2, 3, 4, 4}), sums = mcloss::batch_norm_act_sums(x);
  const at::Tensor saved = at::zeros({4, 3}, at::kDouble), none;
  check_error("E_ARGUMENT", "x of float64", [&] { mcloss::batch_norm_act_sums(x.to(at::kInt)); });
  for (const at::Tensor& wrong :
       {sums.to(at::kFloat), sums.narrow(1, 0, 2), sums.narrow(0, 0, 2)}) {
    check_error("E_ARGUMENT", "sums Double [3, C]", [&] {
      mcloss::batch_norm_act_from_sums(x, none, none, none, none, none, wrong, {});
    });
    check_error("E_ARGUMENT", "sums Double [3, C]", [&] {
      mcloss::batch_norm_act_backward_from_sums(x, x, none, saved, wrong, false);
    });
  }
}

}  // namespace

void batch_norm_act_parts() {
  test_case("batch_norm_act: in parts, as the whole batch", as_the_whole_batch);
  test_case("batch_norm_act: refusals of its parts", refusals_of_parts);
}

}  // namespace test
