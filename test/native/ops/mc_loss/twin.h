// The MC-Loss and its gradient by plain loops in double (docs/mc-loss.md), and the layouts that the C++
// tests put their inputs in.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/new_full.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "types.h"

namespace test {

// What is differentiated: loss * L + dis * L_dis + div * L_div + sum of g * class_scores + h * diversity.
// Without g and h only the loss is.
struct Upstream {
  double loss = 1, dis = 0, div = 0;
  std::vector<double> g{}, h{};  // [N, K], or empty

  double of_g(size_t group) const { return g.empty() ? 0 : g[group]; }
  double of_h(size_t group) const { return h.empty() ? 0 : h[group]; }
};

struct Twin {
  double loss = 0, dis = 0, div = 0;
  double loss_scale = 0, dis_scale = 0;  // the magnitudes of what is added up to loss and to dis
  std::vector<double> g, h;              // [N, K]
  std::vector<double> grad;              // [N, C, H, W]
  double grad_scale = 0;                 // the largest magnitude of what is added up to an element
  double total = 0;                      // what Upstream names
  // The smallest distance of two best values of any maximum: absolute for g, relative for h.
  double gap = std::numeric_limits<double>::infinity();
  // [N, K]: rounding may decide a maximum of softmaxes: two closer than 1e-5, of different channels.
  std::vector<char> near_tie;
};

// One group: features [size, positions], kept [size].
struct TwinGroup {
  int64_t size, positions;
  const double* features;
  const bool* kept;  // or null: all
  std::vector<double> softmax;
  std::vector<int64_t> score_winner, spread_winner;  // -1: a masked channel's 0

  double at(int64_t c, int64_t p) const { return features[c * positions + p]; }
  double attended(int64_t c, int64_t p) const { return keeps(c) ? at(c, p) : 0; }
  bool keeps(int64_t c) const { return !kept || kept[c]; }
  double spread(int64_t c, int64_t p) const { return softmax[c * positions + p]; }

  void take_softmax() {
    softmax.resize(size * positions);
    for (int64_t c = 0; c < size; ++c) {
      const double* row = features + c * positions;
      const double largest = *std::max_element(row, row + positions);
      double sum = 0;
      for (int64_t p = 0; p < positions; ++p) sum += std::exp(row[p] - largest);
      for (int64_t p = 0; p < positions; ++p) {
        softmax[c * positions + p] = std::exp(row[p] - largest) / sum;
      }
    }
  }

  void take_winners() {
    for (int64_t p = 0; p < positions; ++p) {
      int64_t score = 0, spread = 0;
      for (int64_t c = 1; c < size; ++c) {
        if (attended(c, p) > attended(score, p)) score = c;
        if (this->spread(c, p) > this->spread(spread, p)) spread = c;
      }
      score_winner.push_back(keeps(score) ? score : -1);
      spread_winner.push_back(spread);
    }
  }

  bool same_rows(int64_t a, int64_t b) const {
    return std::equal(features + a * positions, features + (a + 1) * positions,
                      features + b * positions);
  }

  bool has_near_tie() const {
    if (positions == 1) return false;  // every softmax is exactly 1
    for (int64_t p = 0; p < positions; ++p) {
      const int64_t winner = spread_winner[p];
      for (int64_t c = 0; c < size; ++c) {
        if (spread(c, p) > spread(winner, p) * (1 - 1e-5) && !same_rows(c, winner)) return true;
      }
    }
    return false;
  }

  // Masked channels tie with each other without a kink: one of them counts.
  double gap() const {
    double smallest = std::numeric_limits<double>::infinity();
    for (int64_t p = 0; p < positions; ++p) {
      const bool zero_wins = score_winner[p] < 0;
      const double best = zero_wins ? 0 : at(score_winner[p], p);
      const int64_t winner = spread_winner[p];
      for (int64_t c = 0; c < size; ++c) {
        const bool other_score = keeps(c) ? c != score_winner[p] : !zero_wins;
        if (other_score) smallest = std::min(smallest, best - attended(c, p));
        if (c == winner || positions == 1) continue;
        smallest = std::min(smallest, 1 - spread(c, p) / spread(winner, p));
      }
    }
    return smallest;
  }
};

// features: contiguous double [N, C, H, W]; target: [N] int64; mask: bool [N, C], contiguous, or
// undefined.
inline Twin twin(const at::Tensor& features, const at::Tensor& target, const at::Tensor& mask,
                 int64_t classes, const mcloss::McWeights& weights, const Upstream& upstream) {
  const int64_t n = features.size(0), channels = features.size(1);
  const int64_t positions = features.size(2) * features.size(3);
  const bool paper = weights.form == mcloss::LossForm::paper;
  std::vector<TwinGroup> groups;
  Twin result;
  for (int64_t s = 0; s < n; ++s) {
    int64_t first = s * channels;
    for (int64_t k = 0; k < classes; ++k) {
      const int64_t size = channels / classes + (k >= classes - channels % classes ? 1 : 0);
      TwinGroup group{size,
                      positions,
                      features.const_data_ptr<double>() + first * positions,
                      mask.defined() ? mask.const_data_ptr<bool>() + first : nullptr,
                      {},
                      {},
                      {}};
      group.take_softmax();
      group.take_winners();
      double g = 0, h = 0;
      for (int64_t p = 0; p < positions; ++p) {
        g += group.score_winner[p] < 0 ? 0 : group.at(group.score_winner[p], p);
        h += group.spread(group.spread_winner[p], p);
      }
      result.g.push_back(g / static_cast<double>(positions));
      result.h.push_back(h);
      result.near_tie.push_back(group.has_near_tie());
      result.gap = std::min(result.gap, group.gap());
      groups.push_back(std::move(group));
      first += size;
    }
  }

  // L_dis, L_div and the loss; d loss / d g and d loss / d h.
  const auto count = static_cast<double>(n * classes);
  const double dis_weight = upstream.dis + upstream.loss * (paper ? weights.mu : weights.alpha);
  std::vector<double> grad_g, grad_h;
  double mean_term = 0;  // mean of lambda * h or of beta * (1 - h / xi)
  for (int64_t s = 0; s < n; ++s) {
    const double* g = result.g.data() + s * classes;
    const int64_t label = target.const_data_ptr<int64_t>()[s];
    const double largest = *std::max_element(g, g + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(g[k] - largest);
    const double log_sum = std::log(sum) + largest;
    result.dis += (log_sum - g[label]) / static_cast<double>(n);
    result.dis_scale += (std::abs(log_sum) + std::abs(g[label])) / static_cast<double>(n);
    for (int64_t k = 0; k < classes; ++k) {
      const size_t group = s * classes + k;
      const double h = result.h[group], xi = static_cast<double>(groups[group].size);
      const double error = (std::exp(g[k] - log_sum) - (k == label)) / static_cast<double>(n);
      const double slope = paper ? -weights.mu * weights.lambda : -weights.beta / xi;
      grad_g.push_back(upstream.of_g(group) + dis_weight * error);
      grad_h.push_back(upstream.of_h(group) + (upstream.div + upstream.loss * slope) / count);
      result.div += h / count;
      mean_term += (paper ? slope * h : weights.beta + slope * h) / count;
      result.loss_scale += (std::abs(slope * h) + (paper ? 0 : std::abs(weights.beta))) / count;
      result.total += upstream.of_g(group) * result.g[group] + upstream.of_h(group) * h;
    }
  }
  const double mu = paper ? weights.mu : weights.alpha;
  result.loss = mu * result.dis + mean_term;
  result.loss_scale += std::abs(mu) * result.dis_scale;
  result.total +=
      upstream.loss * result.loss + upstream.dis * result.dis + upstream.div * result.div;

  for (size_t i = 0; i < groups.size(); ++i) {
    const TwinGroup& group = groups[i];
    for (int64_t c = 0; c < group.size; ++c) {
      double won = 0, lost = 0;  // their sum is 1
      for (int64_t p = 0; p < positions; ++p) {
        (group.spread_winner[p] == c ? won : lost) += group.spread(c, p);
      }
      for (int64_t p = 0; p < positions; ++p) {
        const double scored =
            group.score_winner[p] == c ? grad_g[i] / static_cast<double>(positions) : 0;
        const double spread = grad_h[i] * group.spread(c, p);
        const bool wins = group.spread_winner[p] == c;
        result.grad.push_back(scored + spread * (wins ? lost : -won));
        result.grad_scale = std::max(result.grad_scale, std::abs(scored) + std::abs(spread));
      }
    }
  }
  return result;
}

inline at::Tensor as_tensor(const std::vector<double>& values, at::IntArrayRef sizes) {
  const at::Tensor result = at::empty(sizes, at::kDouble);
  std::copy(values.begin(), values.end(), result.data_ptr<double>());
  return result;
}

enum class Layout { contiguous, channels_last, slice };
constexpr Layout kLayouts[] = {Layout::contiguous, Layout::channels_last, Layout::slice};
constexpr const char* kLayoutNames[] = {"contiguous", "channels_last", "slice"};

// The same values laid out otherwise; `slice` is every other column of a larger tensor.
inline at::Tensor lay_out(const at::Tensor& values, Layout layout) {
  if (layout == Layout::contiguous) return values.contiguous().clone();
  if (layout == Layout::channels_last)
    return values.contiguous(at::MemoryFormat::ChannelsLast).clone();
  const auto n = values.size(0), c = values.size(1), h = values.size(2), w = values.size(3);
  const at::Tensor larger = values.new_full({n + 1, c + 3, h + 2, w * 2}, 7);
  const at::Tensor view =
      larger.narrow(0, 1, n).narrow(1, 2, c).narrow(2, 1, h).slice(3, 1, std::nullopt, 2);
  view.copy_(values);
  return view;
}

}  // namespace test
