// The operators of the mask:
//   mcloss::cwa_mask         what Python calls
//   mcloss::draw_cwa_mask_   the kernels: cwa_mask/cpu.cpp, cuda.cu
#include "ops/cwa_mask.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

#include "ops/operator.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

// keep_ratio 0 means ceil(xi / 2), as in struct Keep.
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

}  // namespace

int64_t kept_channels(int64_t xi, Keep keep) {
  if (keep.ratio == 0) return (xi + 1) / 2;
  if (!(keep.ratio > 0 && keep.ratio <= 1)) {
    refuse("keep", "'ceil-half' or a ratio above 0 and at most 1", c10::str(keep.ratio));
  }
  // Half away from zero: 0.5 of 3 keeps 2, as ceil-half does.
  return std::clamp<int64_t>(std::llround(keep.ratio * static_cast<double>(xi)), 1, xi);
}

at::Tensor cwa_mask(const ChannelGroups& groups, Keep keep, MaskScope scope,
                    const at::Tensor& seed_step, int64_t num_samples, int64_t first_sample) {
  static const auto op =
      find_operator<void(at::Tensor&, int64_t, int64_t, int64_t, const at::Tensor&, int64_t)>(
          "mcloss::draw_cwa_mask_");
  const bool per_sample = scope == MaskScope::sample;
  check_counter("cwa_mask", "num_samples", num_samples);
  check_counter("cwa_mask", "first_sample", first_sample);
  check_counter("cwa_mask", "the last sample", first_sample + num_samples);
  at::Tensor mask = at::empty({per_sample ? num_samples : 1, groups.num_channels},
                              at::TensorOptions().dtype(at::kBool).device(seed_step.device()));
  op.call(mask, groups.num_classes, kept_channels(groups.small_size, keep),
          kept_channels(groups.small_size + 1, keep), seed_step, per_sample ? first_sample : 0);
  return per_sample ? mask : mask.squeeze(0);
}

}  // namespace mcloss
