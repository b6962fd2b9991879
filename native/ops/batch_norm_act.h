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

// ---- its two passes each way, for a batch that several processes share ----
//
// Each process has a part of the batch. Nothing of these is differentiable; x, residual, weight and so on
// are as above, and an E_ARGUMENT says what is not. "sums" are double [3, C], contiguous, on x's device.
// mcloss::NAME(arguments in this order) are the operators; an undefined tensor is None there.

// Of x alone: count of values, mean, and the sum of squared deviations from it, M2. Of parts i together:
//   count = sum n_i, mean = sum n_i mean_i / count, M2 = sum (M2_i + n_i (mean_i - mean)^2)
at::Tensor batch_norm_act_sums(const at::Tensor& x);

struct BatchNormActForward {
  at::Tensor y;      // as x
  at::Tensor saved;  // double [4, C], for the backward pass: the same in each process
};
// y from the merged sums, and the running statistics moved towards them. options.training is not looked at;
// a count of 1 in all processes together makes the running variance NaN.
BatchNormActForward batch_norm_act_from_sums(const at::Tensor& x, const at::Tensor& residual,
                                             const at::Tensor& weight, const at::Tensor& bias,
                                             const at::Tensor& running_mean,
                                             const at::Tensor& running_var, const at::Tensor& sums,
                                             const BatchNormActOptions& options);

struct BatchNormActBackwardSums {
  at::Tensor sums;  // count, sum of g, sum of g * (x - pivot); of parts together: their sum
  at::Tensor grad_weight, grad_bias;  // [C] like weight, of this part
  at::Tensor masked;                  // g, or empty: what belongs to the residual
};
// g = grad where the ReLU lets it through, which y tells: y of the forward pass; or undefined if there was no
// residual, so that it follows from x once more. masked is written if grad_residual is true.
BatchNormActBackwardSums batch_norm_act_backward_sums(const at::Tensor& grad, const at::Tensor& x,
                                                      const at::Tensor& y, const at::Tensor& saved,
                                                      bool relu, bool grad_residual);

// d loss / d x from the merged sums. `masked` may stand for grad, with relu false and no y.
at::Tensor batch_norm_act_backward_from_sums(const at::Tensor& grad, const at::Tensor& x,
                                             const at::Tensor& y, const at::Tensor& saved,
                                             const at::Tensor& sums, bool relu);

}  // namespace mcloss
