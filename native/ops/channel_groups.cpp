#include "ops/channel_groups.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

void check_counter(const char* name, int64_t value) {
  if (value < 0 || value > std::numeric_limits<uint32_t>::max()) {
    throw Error("E_ARGUMENT", std::string("cwa_mask: expected ") + name +
                                  " between 0 and 4294967295 but received " +
                                  std::to_string(value) + ".");
  }
}

// One row of the mask, [C]. kept_small, kept_large: of the classes with q channels, and with q + 1.
void draw_row(const GroupLayout& groups, int64_t kept_small, int64_t kept_large, uint64_t seed,
              uint32_t step, uint32_t sample, bool* kept) {
  std::vector<uint32_t> word(groups.num_channels);
  for (int64_t channel = 0; channel < groups.num_channels; ++channel) {
    word[channel] =
        philox_draw(seed, step, sample, static_cast<uint32_t>(channel), Stream::cwa_mask);
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

// For Python: keep_ratio 0 means ceil(xi / 2), as in struct Keep.
at::Tensor cwa_mask_operator(int64_t num_channels, int64_t num_classes, double keep_ratio,
                             bool per_sample, int64_t seed, int64_t step, int64_t num_samples,
                             int64_t first_sample, std::optional<at::Device> device) {
  return cwa_mask(ChannelGroups(num_channels, num_classes), Keep{keep_ratio},
                  per_sample ? MaskScope::sample : MaskScope::batch,
                  make_seed_step(static_cast<uint64_t>(seed), step, device.value_or(at::kCPU)),
                  num_samples, first_sample);
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def(
      "cwa_mask(int num_channels, int num_classes, float keep_ratio, bool per_sample, int seed, "
      "int step, int num_samples, int first_sample=0, Device? device=None) -> Tensor",
      &cwa_mask_operator);
  // mask: bool [rows, C], contiguous; row r is that of sample first_sample + r.
  m.def(
      "draw_cwa_mask_(Tensor(a!) mask, int num_classes, int kept_small, int kept_large, "
      "Tensor seed_step, int first_sample) -> ()");
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("draw_cwa_mask_", &draw_cwa_mask_cpu); }

}  // namespace

ChannelGroups::ChannelGroups(int64_t num_channels, int64_t num_classes)
    : GroupLayout{num_channels, num_classes, 0, 0} {
  if (num_classes < 1 || num_channels < num_classes) {
    throw Error("E_ARGUMENT",
                "channel groups: expected at least one channel for each of at least "
                "one class but received " +
                    std::to_string(num_channels) + " channels for " + std::to_string(num_classes) +
                    " classes. Use a backbone with more channels, or widen its last "
                    "stage (model.channelsPerClass).");
  }
  small_size = num_channels / num_classes;
  num_small = num_classes - num_channels % num_classes;
}

int64_t kept_channels(int64_t xi, Keep keep) {
  if (keep.ratio == 0) return (xi + 1) / 2;
  if (!(keep.ratio > 0 && keep.ratio <= 1)) {
    throw Error("E_ARGUMENT",
                "keep: expected 'ceil-half' or a ratio above 0 and at most 1 but "
                "received " +
                    std::to_string(keep.ratio) + ".");
  }
  // Half away from zero: 0.5 of 3 keeps 2, as ceil-half does.
  return std::clamp<int64_t>(std::llround(keep.ratio * static_cast<double>(xi)), 1, xi);
}

at::Tensor cwa_mask(const ChannelGroups& groups, Keep keep, MaskScope scope,
                    const at::Tensor& seed_step, int64_t num_samples, int64_t first_sample) {
  using Signature = void(at::Tensor&, int64_t, int64_t, int64_t, const at::Tensor&, int64_t);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mcloss::draw_cwa_mask_", "")
                             .typed<Signature>();
  const bool per_sample = scope == MaskScope::sample;
  check_counter("num_samples", num_samples);
  check_counter("first_sample", first_sample);
  check_counter("the last sample", first_sample + num_samples);
  at::Tensor mask = at::empty({per_sample ? num_samples : 1, groups.num_channels},
                              at::TensorOptions().dtype(at::kBool).device(seed_step.device()));
  op.call(mask, groups.num_classes, kept_channels(groups.small_size, keep),
          kept_channels(groups.small_size + 1, keep), seed_step, per_sample ? first_sample : 0);
  return per_sample ? mask : mask.squeeze(0);
}

}  // namespace mcloss
