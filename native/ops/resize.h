// The resize of u8 pixels. What a training step does with them: ops/gather_augment.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace mcloss {

// pixels: u8 [H, W, 3] -> u8 [out_height, out_width, 3]. Bilinear with antialiasing; equal to PIL's
// and torchvision's resize to within 1/255. The same size returns the pixels unchanged.
at::Tensor resize_u8(const at::Tensor& pixels, int64_t out_height, int64_t out_width);

// The same into `out`, u8 [out_height, out_width, 3], contiguous.
void resize_u8_into(const at::Tensor& pixels, const at::Tensor& out);

}  // namespace mcloss
