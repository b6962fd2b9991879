// Operators on u8 pixels: antialiased bilinear resize, and crop + flip + normalise.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

namespace mcloss {

// pixels: u8 [H, W, 3] -> u8 [out_height, out_width, 3]. Bilinear with antialiasing; equal to PIL's
// and torchvision's resize to within 1/255. The same size returns the pixels unchanged.
at::Tensor resize_u8(const at::Tensor& pixels, int64_t out_height, int64_t out_width);

// pixels: u8 [N, H, W, 3]. windows: int32 [N, 3] = (top, left, flip) on the CPU. Cuts out_height x
// out_width at (top, left), zero (black) outside the image, mirrors left-right where flip is 1,
// then (value / 255 - mean) / std per channel. -> float32 [N, 3, out_height, out_width],
// channels_last. The result lives where `pixels` lives. Registered as mcloss::crop_flip_normalize
// (CPU, CUDA).
at::Tensor crop_flip_normalize(const at::Tensor& pixels, const at::Tensor& windows,
                               int64_t out_height, int64_t out_width,
                               const std::array<float, 3>& mean, const std::array<float, 3>& std);

}  // namespace mcloss
