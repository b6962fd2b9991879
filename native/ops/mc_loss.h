// The Mutual-Channel Loss (Chang et al., TIP 29, 2020) on feature maps; docs/mc-loss.md maps every
// symbol to a function here. No parameters, training only. The mask is an argument.
//
// features F: [N, C, H, W], the last convolution's output after its ReLU. Class i owns the xi_i
// channels F_i (ops/channel_groups.h).
//   class_scores g_i = mean over positions of the max over c in F_i of mask_c * F_c   -> logits of L_dis
//   diversity    h_i = sum over positions of the max over c in F_i of softmax_positions(F_c), unmasked
// The first channel wins a tie, in both maxima.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "types.h"

namespace mcloss {

// loss = dis * L_dis + div * L_div + per_xi * mean over N and K of (1 - h_i / xi_i).
struct McTerms {
  double dis = 0, div = 0, per_xi = 0;
};

// The terms of either form. Throws E_ARGUMENT for weights that are not finite.
McTerms mc_terms(const McWeights& weights);

struct McLoss {
  at::Tensor loss;  // the weighted MC part; scalar
  at::Tensor dis;   // L_dis = cross entropy of class_scores against target; scalar, mean over N
  at::Tensor div;   // L_div = mean over N and K of h; scalar
  at::Tensor class_scores;  // g [N, K]
  at::Tensor diversity;     // h [N, K]
};

// The fused operator mcloss::mc_loss: mc_loss/cpu.cpp, cuda.cu. Differentiable in
// `features`, through each of the five results. They are float32 (float64 for float64 features);
// sums run in at least that. features: [N, C, H, W] f64 f32 bf16 f16, any strides, N >= 1, H * W >= 1.
// target: [N] int64, 0..K-1 (on a GPU, where checking would wait for it, another label makes the
// loss NaN). mask: bool [C] or [N, C], or none (every channel kept); it is moved to the device of
// the features. Throws E_ARGUMENT for anything else.
McLoss mc_loss(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
               const std::optional<at::Tensor>& mask, const McTerms& terms);

// The same, composed of LibTorch's own operators (differentiable by autograd).
McLoss mc_loss_reference(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
                         const std::optional<at::Tensor>& mask, const McTerms& terms);

// The reference with cross-channel average pooling (ccap): the mean over c in F_i in place of both
// maxima, masked channels as zeros. h is then 1, whatever the features are.
McLoss mc_loss_of_means(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
                        const std::optional<at::Tensor>& mask, const McTerms& terms);

}  // namespace mcloss
