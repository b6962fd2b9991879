#include <ATen/ops/_upsample_bilinear2d_aa.h>

#include <sstream>

#include "ops/pixels.h"
#include "types.h"

namespace mcloss {

at::Tensor resize_u8(const at::Tensor& pixels, int64_t out_height, int64_t out_width) {
  const bool is_image = pixels.dim() == 3 && pixels.size(2) == 3 && pixels.numel() > 0;
  if (!is_image || pixels.scalar_type() != at::kByte || out_height < 1 || out_width < 1) {
    std::ostringstream message;
    message << "resize: expected u8 pixels [H, W, 3] and a size of at least 1 x 1 but received "
            << pixels.scalar_type() << " " << pixels.sizes() << " and " << out_height << " x "
            << out_width << ".";
    throw Error("E_ARGUMENT", message.str());
  }
  if (pixels.size(0) == out_height && pixels.size(1) == out_width) return pixels;
  // A view [1, 3, H, W] in channels_last, the layout of LibTorch's fast u8 kernel.
  const at::Tensor image = pixels.contiguous().permute({2, 0, 1}).unsqueeze(0);
  const at::Tensor resized =
      at::_upsample_bilinear2d_aa(image, {out_height, out_width}, /*align_corners=*/false);
  return resized.squeeze(0).permute({1, 2, 0}).contiguous();
}

}  // namespace mcloss
