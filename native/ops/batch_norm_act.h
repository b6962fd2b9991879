// Batch norm, an optional residual and an optional ReLU as one operator:
//   y = [relu](bn(x) + [residual])
// Two passes over memory forward (one to the statistics, one to y) and two backward.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace mcloss {

struct BatchNormActOptions {
  // Batch statistics, and the running ones moved towards them; false: the running statistics, also
  // where gradients are wanted (frozen statistics).
  bool training = true;
  double momentum = 0.1;
  double eps = 1e-5;
  bool relu = true;
};

// The fused operator mcloss::batch_norm_act: batch_norm_act/cpu.cpp, cuda.cu.
// Differentiable once, in x, residual, weight and bias. x: [N, C, H, W] or [N, C], f64 f32 bf16 f16;
// residual: as x, or undefined. weight, bias, running_mean, running_var: [C], float64 for float64 x,
// else float32, or undefined (weight 1, bias 0). Throws E_ARGUMENT for anything else, for one value
// per channel in training, and without running statistics when training is false.
at::Tensor batch_norm_act(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                          const at::Tensor& bias, const at::Tensor& running_mean,
                          const at::Tensor& running_var, const BatchNormActOptions& options);

}  // namespace mcloss
