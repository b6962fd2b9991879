// One input of batch_norm_act drawn from a seed, what an implementation makes of it, and LibTorch's
// composition of it.
#pragma once

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/relu.h>

#include "ops/batch_norm_act.h"
#include "ops/mc_loss/case.h"

namespace test {

// All double and contiguous; residual may be undefined.
struct BnCase {
  at::Tensor x, residual, grad;                        // [N, C, H, W]
  at::Tensor weight, bias, running_mean, running_var;  // [C]
  bool training = true, relu = true;

  // Stored in `dtype`, the values per channel in float32 or float64, and read back as double.
  BnCase stored_as(at::ScalarType dtype) const {
    const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
    const auto round = [](const at::Tensor& values, at::ScalarType type) {
      return values.defined() ? values.to(type).to(at::kDouble) : values;
    };
    BnCase result = *this;
    for (at::Tensor* values : {&result.x, &result.residual, &result.grad}) {
      *values = round(*values, dtype);
    }
    for (at::Tensor* values :
         {&result.weight, &result.bias, &result.running_mean, &result.running_var}) {
      *values = round(*values, wide);
    }
    return result;
  }
};

// mean_in_sd: how many standard deviations the channels' means are from 0, at most.
inline BnCase draw_bn(Random& random, std::array<int64_t, 4> sizes, bool with_residual, bool relu,
                      double mean_in_sd = 1) {
  const auto [n, c, h, w] = sizes;
  BnCase result;
  const at::Tensor sd = random.uniform({c, 1, 1}) * 2 + 0.1;
  const at::Tensor mean = (random.uniform({c, 1, 1}) * 2 - 1) * (mean_in_sd * sd);
  result.x = (random.uniform({n, c, h, w}) - 0.5) * 3.4 * sd + mean;
  if (with_residual) result.residual = random.uniform({n, c, h, w}) * 2 - 1;
  // Leans on x, so that no sum of the gradient nearly cancels.
  result.grad = random.uniform({n, c, h, w}) * 2 - 0.5 + (result.x - mean) / sd;
  result.weight = random.uniform({c}) + 0.5;
  result.bias = random.uniform({c}) - 0.5;
  result.running_mean = random.uniform({c}) - 0.5;
  result.running_var = random.uniform({c}) + 0.5;
  result.relu = relu;
  return result;
}

struct BnOutcome {
  at::Tensor y, running_mean, running_var;
  at::Tensor grad_x, grad_residual, grad_weight, grad_bias;
};

// LibTorch's composition; with a mask in place of the ReLU where one is given.
inline at::Tensor composed(const at::Tensor& x, const at::Tensor& residual,
                           const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& running_mean, const at::Tensor& running_var,
                           const BnCase& input, const at::Tensor& mask = {}) {
  at::Tensor y =
      at::batch_norm(x, weight, bias, running_mean, running_var, input.training, 0.1, 1e-5,
                     /*cudnn_enabled=*/false);
  if (residual.defined()) y = y + residual;
  if (mask.defined()) return y * mask;
  return input.relu ? at::relu(y) : y;
}

// call(x, residual, weight, bias, running_mean, running_var) -> y on tensors in `dtype` and a layout,
// and the gradients it gives.
template <typename Call>
BnOutcome run_bn(const BnCase& input, at::ScalarType dtype, Layout layout, at::DeviceType device,
                 const Call& call) {
  const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const auto values = [&](const at::Tensor& from) {
    if (!from.defined()) return from;
    return lay_out(from.to(dtype), layout).to(device).detach().set_requires_grad(true);
  };
  const auto channels = [&](const at::Tensor& from) { return from.to(device, wide).clone(); };
  const at::Tensor x = values(input.x), residual = values(input.residual);
  const at::Tensor weight = channels(input.weight).set_requires_grad(true);
  const at::Tensor bias = channels(input.bias).set_requires_grad(true);
  BnOutcome result;
  result.running_mean = channels(input.running_mean);
  result.running_var = channels(input.running_var);
  result.y = call(x, residual, weight, bias, result.running_mean, result.running_var);
  result.y.backward(lay_out(input.grad.to(dtype), layout).to(device));
  result.y = result.y.detach();
  result.grad_x = x.grad();
  if (residual.defined()) result.grad_residual = residual.grad();
  result.grad_weight = weight.grad();
  result.grad_bias = bias.grad();
  return result;
}

inline BnOutcome run_fused(const BnCase& input, at::ScalarType dtype, Layout layout,
                           at::DeviceType device = at::kCPU) {
  return run_bn(
      input, dtype, layout, device,
      [&](const at::Tensor& x, const at::Tensor& residual, const auto&... others) {
        return mcloss::batch_norm_act(
            x, residual, others...,
            {.training = input.training, .momentum = 0.1, .eps = 1e-5, .relu = input.relu});
      });
}

}  // namespace test
