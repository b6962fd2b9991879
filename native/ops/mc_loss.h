// The Mutual-Channel Loss (Chang et al., TIP 29, 2020) on feature maps; docs/mc-loss.md maps every
// symbol to a function here. No parameters, training only. The mask is an argument.
//
// features F: [N, C, H, W], the last convolution's output after its ReLU. Class i owns the xi_i
// channels F_i (ops/channel_groups.h).
//   class_scores g_i = mean over positions of the max over c in F_i of mask_c * F_c   -> logits of L_dis
//   diversity    h_i = sum over positions of the max over c in F_i of softmax_positions(F_c), unmasked
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>

#include "types.h"

namespace mcloss {

struct McLoss {
  at::Tensor dis;           // L_dis = cross entropy of class_scores against target; scalar, mean over N
  at::Tensor div;           // L_div = mean over N and K of h; scalar
  at::Tensor loss;          // the weighted MC part in the form asked for; scalar
  at::Tensor class_scores;  // g [N, K]
  at::Tensor diversity;     // h [N, K]
};

// Differentiable in `features`. Results are float32 (float64 for float64 features). features: [N,
// C, H, W] f64 f32 bf16 f16, any strides, N >= 1, H * W >= 1. target: [N] int64, 0..K-1 (checked on
// the CPU only). mask: bool [C] or [N, C], or none (every channel kept); it is moved to the device
// of the features. Throws E_ARGUMENT for anything else.
McLoss mc_loss(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
               const std::optional<at::Tensor>& mask, const McWeights& weights);

// The operator mcloss::mc_scores underneath: (class_scores [N, K], diversity [N, K]).
// First index wins a tie in both maxima. CPU: mc_loss_cpu.cpp. Other devices: mc_scores_reference.
std::tuple<at::Tensor, at::Tensor> mc_scores(const at::Tensor& features,
                                             const std::optional<at::Tensor>& mask,
                                             int64_t num_classes);

// The same, composed of LibTorch's own operators (differentiable by autograd).
std::tuple<at::Tensor, at::Tensor> mc_scores_reference(const at::Tensor& features,
                                                       const std::optional<at::Tensor>& mask,
                                                       int64_t num_classes);

// Throws E_ARGUMENT unless (features, mask, num_classes) are what mc_scores takes.
void check_mc_scores(const at::Tensor& features, const std::optional<at::Tensor>& mask,
                     int64_t num_classes);

}  // namespace mcloss
