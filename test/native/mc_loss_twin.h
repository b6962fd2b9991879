// mc_scores by plain loops in double, and what the C++ tests share to make inputs for it.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace test {

struct Twin {
  std::vector<double> g, h;  // [N, K]
  // The smallest distance of two best values of any maximum: absolute for g, relative for h.
  double gap = std::numeric_limits<double>::infinity();
};

// features: contiguous double [N, C, H, W]. mask: bool [N, C], contiguous, or undefined.
inline Twin twin(const at::Tensor& features, const at::Tensor& mask, int64_t classes) {
  const int64_t n = features.size(0), c = features.size(1);
  const int64_t positions = features.size(2) * features.size(3);
  const double* f = features.const_data_ptr<double>();
  Twin result;
  for (int64_t s = 0; s < n; ++s) {
    int64_t first = 0;
    for (int64_t k = 0; k < classes; ++k) {
      const int64_t last = first + c / classes + (k >= classes - c % classes ? 1 : 0);
      double g = 0, h = 0;
      for (int64_t p = 0; p < positions; ++p) {
        std::vector<double> attended, peaked;
        bool zero_taken = false;  // masked channels tie with each other without a kink: one counts
        for (int64_t i = first; i < last; ++i) {
          const double* map = f + (s * c + i) * positions;
          double sum = 0;
          for (int64_t q = 0; q < positions; ++q) sum += std::exp(map[q] - map[p]);
          peaked.push_back(1 / sum);
          const bool kept = !mask.defined() || mask.const_data_ptr<bool>()[s * c + i];
          if (kept || !zero_taken) attended.push_back(kept ? map[p] : 0);
          zero_taken = zero_taken || !kept;
        }
        std::sort(attended.rbegin(), attended.rend());
        std::sort(peaked.rbegin(), peaked.rend());
        g += attended[0] / static_cast<double>(positions);
        h += peaked[0];
        if (attended.size() > 1) result.gap = std::min(result.gap, attended[0] - attended[1]);
        if (peaked.size() > 1 && positions > 1) {
          result.gap = std::min(result.gap, (peaked[0] - peaked[1]) / peaked[0]);
        }
      }
      result.g.push_back(g);
      result.h.push_back(h);
      first = last;
    }
  }
  return result;
}

enum class Layout { contiguous, channels_last, slice };
constexpr Layout kLayouts[] = {Layout::contiguous, Layout::channels_last, Layout::slice};
constexpr const char* kLayoutNames[] = {"contiguous", "channels_last", "slice"};

// The same values laid out otherwise; `slice` is every other column of a larger tensor.
inline at::Tensor lay_out(const at::Tensor& values, Layout layout) {
  if (layout == Layout::contiguous) return values.contiguous().clone();
  if (layout == Layout::channels_last) return values.contiguous(at::MemoryFormat::ChannelsLast).clone();
  const auto n = values.size(0), c = values.size(1), h = values.size(2), w = values.size(3);
  const at::Tensor larger = values.new_full({n + 1, c + 3, h + 2, w * 2}, 7);
  const at::Tensor view =
      larger.narrow(0, 1, n).narrow(1, 2, c).narrow(2, 1, h).slice(3, 1, std::nullopt, 2);
  view.copy_(values);
  return view;
}

}  // namespace test
