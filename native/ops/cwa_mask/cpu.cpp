// The mask on the CPU.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "ops/channel_groups.h"
#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

// One row of the mask, [C]. kept_small, kept_large: of the classes with q channels, and with q + 1.
void draw_row(const GroupLayout& groups, int64_t kept_small, int64_t kept_large, uint64_t seed,
              uint32_t step, uint32_t sample, bool* kept) {
  std::vector<uint32_t> word(groups.num_channels);
  for (int64_t channel = 0; channel < groups.num_channels; ++channel) {
    word[channel] =
        philox_draw(seed, step, sample, static_cast<uint32_t>(channel), Purpose::cwa_mask);
  }
  std::vector<int64_t> order(groups.num_channels);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::fill_n(kept, groups.num_channels, false);
  for (int64_t cls = 0; cls < groups.num_classes; ++cls) {
    const auto first = order.begin() + groups.begin(cls);
    const auto last = first + groups.size(cls);
    // stable: of equal words the smaller channel comes first.
    std::stable_sort(first, last, [&](int64_t a, int64_t b) { return word[a] < word[b]; });
    std::for_each(first, first + (cls < groups.num_small ? kept_small : kept_large),
                  [&](int64_t channel) { kept[channel] = true; });
  }
}

void draw_cwa_mask_cpu(at::Tensor& mask, int64_t num_classes, int64_t kept_small,
                       int64_t kept_large, const at::Tensor& seed_step, int64_t first_sample) {
  const int64_t* at = seed_step_data(seed_step, mask.device());
  const ChannelGroups groups(mask.size(1), num_classes);
  for (int64_t row = 0; row < mask.size(0); ++row) {
    draw_row(groups, kept_small, kept_large, static_cast<uint64_t>(at[0]),
             static_cast<uint32_t>(at[1]), static_cast<uint32_t>(first_sample + row),
             mask.data_ptr<bool>() + row * groups.num_channels);
  }
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("draw_cwa_mask_", &draw_cwa_mask_cpu); }

}  // namespace
}  // namespace mcloss
