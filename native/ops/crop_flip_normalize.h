// What the CPU and CUDA forms of crop_flip_normalize share, so that both give the same bits.
#pragma once

#include <ATen/core/Tensor.h>

namespace mcloss {

// value[channel][v] = (v / 255 - mean) / std, computed in double. Small enough (3 KiB) to be a
// kernel argument.
struct PixelTable {
  float value[3][256];
};

// Throws E_ARGUMENT unless mean and std have three finite entries, std above 0.
PixelTable make_pixel_table(at::ArrayRef<double> mean, at::ArrayRef<double> std);

// Throws E_ARGUMENT unless pixels are u8 [N, H, W, 3], windows int32 [N, 3] on the CPU, and the
// size at least 1 x 1.
void check_crop(const at::Tensor& pixels, const at::Tensor& windows, int64_t out_height,
                int64_t out_width);

}  // namespace mcloss
