#include "ops/resize.h"

#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "ops/operator.h"

namespace mcloss {
namespace {

bool is_image(const at::Tensor& pixels) {
  return pixels.dim() == 3 && pixels.size(2) == 3 && pixels.numel() > 0 &&
         pixels.scalar_type() == at::kByte;
}

// [1, 3, H, W] in channels_last, the layout of LibTorch's fast u8 kernel.
at::Tensor as_batch(const at::Tensor& pixels) { return pixels.permute({2, 0, 1}).unsqueeze(0); }

}  // namespace

void resize_u8_into(const at::Tensor& pixels, const at::Tensor& out) {
  if (!is_image(pixels) || !is_image(out) || !out.is_contiguous()) {
    refuse("resize", "u8 pixels [H, W, 3] and a size of at least 1 x 1",
           c10::str(describe(pixels), " and ", out.sizes()));
  }
  at::Tensor result = as_batch(out);
  at::_upsample_bilinear2d_aa_out(result, as_batch(pixels.contiguous()), {out.size(0), out.size(1)},
                                  /*align_corners=*/false);
}

at::Tensor resize_u8(const at::Tensor& pixels, int64_t out_height, int64_t out_width) {
  if (is_image(pixels) && pixels.size(0) == out_height && pixels.size(1) == out_width) {
    return pixels;
  }
  const at::Tensor out =
      at::empty({std::max<int64_t>(out_height, 0), std::max<int64_t>(out_width, 0), 3}, at::kByte);
  resize_u8_into(pixels, out);
  return out;
}

}  // namespace mcloss
