// mc_scores on the CPU: the readable statement of the mathematics (docs/mc-loss.md). One (sample,
// class) at a time: its channels are copied into a small buffer, so any dtype and strides work, and
// the backward pass computes again what it needs from there.
//
//   g_i = 1 / HW * sum_p max_c mask_c F_c(p)         S_c = softmax over positions of F_c
//   h_i = sum_p max_c S_c(p)
//   d g_i / d F_c(p) = 1 / HW  where c is the first maximum at p and not masked, else 0
//   d h_i / d F_c(p) = S_c(p) * ([c is the first maximum at p] - sum of S_c where c is it)
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/channel_groups.h"
#include "ops/mc_loss.h"

namespace mcloss {
namespace {

constexpr int64_t kMasked = -1;

// A NaN replaces every number, and nothing replaces a NaN: as LibTorch's max.
template <typename T>
bool beats(T value, T best) {
  return value > best || (std::isnan(value) && !std::isnan(best));
}

// The channels of one (sample, class): `size` maps of `positions` values each. T is float, or
// double for double features; sums run in double, so their error does not grow with the map.
template <typename T>
struct Group {
  int64_t size, positions;
  std::vector<T> maps;                // [size, positions]: F, later S
  std::vector<T> best;                // [positions]: the largest value so far
  std::vector<int64_t> winner;        // [positions]: the first channel that has it

  T* map(int64_t channel) { return maps.data() + channel * positions; }

  template <typename scalar_t>
  Group(const at::Tensor& features, const scalar_t* data, int64_t sample, int64_t begin,
        int64_t size)
      : size(size), positions(features.size(2) * features.size(3)), maps(size * positions),
        best(positions), winner(positions) {
    T* out = maps.data();
    for (int64_t channel = begin; channel < begin + size; ++channel) {
      for (int64_t y = 0; y < features.size(2); ++y) {
        for (int64_t x = 0; x < features.size(3); ++x) {
          *out++ = static_cast<T>(data[sample * features.stride(0) + channel * features.stride(1) +
                                       y * features.stride(2) + x * features.stride(3)]);
        }
      }
    }
  }

  // Replaces the maps by their softmax over positions.
  void softmax() {
    for (int64_t channel = 0; channel < size; ++channel) {
      T* values = map(channel);
      T largest = -std::numeric_limits<T>::infinity();
      for (int64_t p = 0; p < positions; ++p) {
        if (beats(values[p], largest)) largest = values[p];
      }
      double sum = 0;
      for (int64_t p = 0; p < positions; ++p) {
        values[p] = std::exp(values[p] - largest);
        sum += values[p];
      }
      for (int64_t p = 0; p < positions; ++p) values[p] = static_cast<T>(values[p] / sum);
    }
  }

  // Fills best and winner; returns the sum over positions. mask: [size], or null for all ones. A
  // masked channel takes part as 0; where it wins, winner is kMasked.
  double maximum(const bool* mask) {
    for (int64_t channel = 0; channel < size; ++channel) {
      const bool kept = !mask || mask[channel];
      const T* values = map(channel);
      for (int64_t p = 0; p < positions; ++p) {
        const T value = kept ? values[p] : T(0);
        if (channel == 0 || beats(value, best[p])) {
          best[p] = value;
          winner[p] = kept ? channel : kMasked;
        }
      }
    }
    double sum = 0;
    for (const T value : best) sum += value;
    return sum;
  }
};

// Calls body(sample, class) for every pair, in parallel; pairs are independent of one another, so
// the result does not depend on the number of threads.
template <typename Body>
void for_each_group(int64_t num_samples, int64_t num_classes, const Body& body) {
  at::parallel_for(0, num_samples * num_classes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i / num_classes, i % num_classes);
  });
}

// The mask [C] of a sample, or null.
const bool* mask_row(const at::Tensor& mask, int64_t sample) {
  if (!mask.defined()) return nullptr;
  return mask.const_data_ptr<bool>() + (mask.dim() == 2 ? sample * mask.size(1) : 0);
}

at::Tensor contiguous_mask(const std::optional<at::Tensor>& mask) {
  return mask ? mask->contiguous() : at::Tensor();
}

std::tuple<at::Tensor, at::Tensor> mc_scores_cpu(const at::Tensor& features,
                                                 const std::optional<at::Tensor>& mask,
                                                 int64_t num_classes) {
  check_mc_scores(features, mask, num_classes);
  const ChannelGroups groups(features.size(1), num_classes);
  const at::Tensor masks = contiguous_mask(mask);
  const auto dtype = features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor class_scores = at::empty({features.size(0), num_classes}, dtype);
  const at::Tensor diversity = at::empty({features.size(0), num_classes}, dtype);

  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_scores_cpu", [&] {
        using T = std::conditional_t<std::is_same_v<scalar_t, double>, double, float>;
        const auto* data = features.const_data_ptr<scalar_t>();
        T* g = class_scores.data_ptr<T>();
        T* h = diversity.data_ptr<T>();
        for_each_group(features.size(0), num_classes, [&](int64_t sample, int64_t cls) {
          const int64_t begin = groups.begin(cls);
          Group<T> group(features, data, sample, begin, groups.size(cls));
          const bool* kept = mask_row(masks, sample);
          const double sum = group.maximum(kept ? kept + begin : nullptr);
          g[sample * num_classes + cls] = static_cast<T>(sum / group.positions);
          group.softmax();
          h[sample * num_classes + cls] = static_cast<T>(group.maximum(nullptr));
        });
      });
  return {class_scores, diversity};
}

at::Tensor mc_scores_backward_cpu(const at::Tensor& grad_class_scores,
                                  const at::Tensor& grad_diversity, const at::Tensor& features,
                                  const std::optional<at::Tensor>& mask, int64_t num_classes) {
  check_mc_scores(features, mask, num_classes);
  const ChannelGroups groups(features.size(1), num_classes);
  const at::Tensor masks = contiguous_mask(mask);
  const at::Tensor grad = at::empty_like(features);
  const auto dtype = features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor grad_g = grad_class_scores.to(dtype).contiguous();
  const at::Tensor grad_h = grad_diversity.to(dtype).contiguous();

  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_scores_backward_cpu", [&] {
        using T = std::conditional_t<std::is_same_v<scalar_t, double>, double, float>;
        const auto* data = features.const_data_ptr<scalar_t>();
        auto* out = grad.data_ptr<scalar_t>();
        const T* dg = grad_g.const_data_ptr<T>();
        const T* dh = grad_h.const_data_ptr<T>();
        for_each_group(features.size(0), num_classes, [&](int64_t sample, int64_t cls) {
          const int64_t begin = groups.begin(cls), width = features.size(3);
          Group<T> group(features, data, sample, begin, groups.size(cls));
          const bool* kept = mask_row(masks, sample);
          group.maximum(kept ? kept + begin : nullptr);
          const std::vector<int64_t> score_winner = group.winner;
          group.softmax();
          group.maximum(nullptr);

          const T score_share = dg[sample * num_classes + cls] / group.positions;
          const T share = dh[sample * num_classes + cls];
          for (int64_t channel = 0; channel < group.size; ++channel) {
            const T* softmax = group.map(channel);
            double won = 0;
            for (int64_t p = 0; p < group.positions; ++p) {
              if (group.winner[p] == channel) won += softmax[p];
            }
            const int64_t origin =
                sample * grad.stride(0) + (begin + channel) * grad.stride(1);
            for (int64_t p = 0; p < group.positions; ++p) {
              const T wins = group.winner[p] == channel ? 1 : 0;
              T value = share * softmax[p] * (wins - static_cast<T>(won));
              if (score_winner[p] == channel) value += score_share;
              out[origin + p / width * grad.stride(2) + p % width * grad.stride(3)] =
                  static_cast<scalar_t>(value);
            }
          }
        });
      });
  return grad;
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("mc_scores", &mc_scores_cpu);
  m.impl("mc_scores_backward", &mc_scores_backward_cpu);
}

}  // namespace
}  // namespace mcloss
