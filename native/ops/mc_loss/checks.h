// What the forms of the MC-Loss share: argument checks, the factors of the terms, and the tensors that
// the fused forward pass leaves for the backward pass.
#pragma once

#include <tuple>

#include "ops/channel_groups.h"
#include "ops/mc_loss.h"
#include "ops/operator.h"

namespace mcloss {

// Throws E_ARGUMENT unless the arguments are what mc_loss takes. Labels out of range are looked for
// on the CPU only.
void check_mc_loss(const at::Tensor& features, const at::Tensor& target, const MaybeTensor& mask,
                   int64_t num_classes, const McTerms& terms);
void check_labels(const at::Tensor& target, int64_t num_classes);

// loss = dis * L_dis + constant + mean over samples and classes of weight_i * h_i.
struct McFactors {
  double dis, constant;
  double small, large;  // weight_i of the classes with q channels, and with q + 1
};
McFactors mc_factors(const McTerms& terms, const GroupLayout& groups);

// The forward pass's results; the last three are for the backward pass alone. With xi the channels
// of a class and P = H * W they take 2 bytes a position and class (8 where xi > 255), 12 a channel
// and 4 a class, next to xi * P * sizeof(dtype) bytes of features: 7 % for xi = 10, P = 196, float32.
struct McForward {
  at::Tensor loss, dis, div, class_scores, diversity;
  // [2, N, K, P]: which channel of its group is the first maximum of mask * F, and of the softmax;
  // kNoChannel where a masked channel's 0 is. uint8, int32 where a class has more than 255 channels.
  at::Tensor winners;
  // [4, N, C]: of each channel the largest value, 1 / sum of exp(F - largest), and the softmax
  // summed over the positions that it wins, and over those that it does not.
  at::Tensor channel_stats;
  at::Tensor score_grad;  // [N, K]: d L_dis / d g

  auto tuple() const {
    return std::tuple{loss, dis, div, class_scores, diversity, winners, channel_stats, score_grad};
  }
};

// All of them empty, on the device of the features.
McForward empty_mc_forward(const at::Tensor& features, const GroupLayout& groups);

constexpr int kNoChannel = -1;  // 255 as uint8

// The gradients that reach the backward pass; none where a result was not used.
struct McUpstream {
  const MaybeTensor &loss, &dis, &div, &class_scores, &diversity;
};

}  // namespace mcloss
