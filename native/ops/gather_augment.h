// From a store of u8 images to the network's input, in one operator: crop, flip, colour jitter,
// normalise, erase.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>

namespace mcloss {

struct GatherOptions {
  int64_t out_height, out_width;      // 1..2^24
  std::array<float, 3> mean, std;     // of pixels scaled to 0..1
  at::ScalarType dtype = at::kFloat;  // or kBFloat16, kHalf
};

// pixels: u8 [M, H, W, 3], anywhere; the result is there too. The rest is on the CPU or beside the
// pixels. A GPU is not waited for.
// rows: int32 [N], the image of each sample, 0..M-1; none: sample n is image n, and N = M.
// windows: int32 [N, 3] = (top, left, flip). jitter: float32 [N, 3] = factors of brightness,
// contrast and saturation, 0..256, 1 = unchanged; none: no jitter. erased: int32 [N, 4] = (top, left,
// height, width), a rectangle inside the output, empty where a side is 0; none: no rectangles.
//   1. Cuts out_height x out_width at (top, left), black outside the image; mirrors left-right
//      where flip is not 0.
//   2. Brightness, contrast, saturation, in this order: PIL's ImageEnhance on the cut window, u8
//      after each.
//   3. (value - 255 mean) * (1 / (255 std)) per channel, in float32, which is within 1e-6 of
//      (value / 255 - mean) / std where std is 0.1 or more; then the cast, to the nearest, ties to
//      even.
//   4. Fills the rectangle with 0, which is the mean.
// -> dtype [N, 3, out_height, out_width], channels_last; the same bits on every processor and GPU.
// Registered as mcloss::gather_augment. Throws E_ARGUMENT for anything else, before any work; but the
// values of what lies on a GPU are not looked at, and there a row outside gives NaN.
at::Tensor gather_augment(const at::Tensor& pixels, const std::optional<at::Tensor>& rows,
                          const at::Tensor& windows, const std::optional<at::Tensor>& jitter,
                          const GatherOptions& options,
                          const std::optional<at::Tensor>& erased = std::nullopt);

// The same written into `out`, which is as the result would be. options.dtype and sizes are those of `out`.
// Registered as mcloss::gather_augment_into_.
void gather_augment_into(at::Tensor out, const at::Tensor& pixels,
                         const std::optional<at::Tensor>& rows, const at::Tensor& windows,
                         const std::optional<at::Tensor>& jitter, const GatherOptions& options,
                         const std::optional<at::Tensor>& erased = std::nullopt);

// Throws E_ARGUMENT as gather_augment for values out of their ranges, in tables on the CPU that are to
// go to a GPU. images: M.
void check_gather_values(const std::optional<at::Tensor>& rows,
                         const std::optional<at::Tensor>& jitter,
                         const std::optional<at::Tensor>& erased, int64_t images,
                         const GatherOptions& options);

}  // namespace mcloss
