#include "ops/crop_flip_normalize.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <sstream>

#include "ops/pixels.h"
#include "types.h"

namespace mcloss {

PixelTable make_pixel_table(at::ArrayRef<double> mean, at::ArrayRef<double> std) {
  PixelTable table;
  bool valid = mean.size() == 3 && std.size() == 3;
  for (size_t channel = 0; valid && channel < 3; ++channel) {
    valid = std::isfinite(mean[channel]) && std::isfinite(std[channel]) && std[channel] > 0;
    for (int v = 0; v < 256; ++v) {
      table.value[channel][v] = static_cast<float>((v / 255.0 - mean[channel]) / std[channel]);
    }
  }
  if (!valid) {
    std::ostringstream message;
    message << "crop_flip_normalize: expected three finite means and three standard deviations "
               "above 0, of pixels scaled to 0..1, but received "
            << mean << " and " << std << ".";
    throw Error("E_ARGUMENT", message.str());
  }
  return table;
}

void check_crop(const at::Tensor& pixels, const at::Tensor& windows, int64_t out_height,
                int64_t out_width) {
  const bool pixels_valid = pixels.scalar_type() == at::kByte && pixels.dim() == 4 &&
                            pixels.size(3) == 3 && pixels.numel() > 0;
  const bool windows_valid = pixels_valid && windows.scalar_type() == at::kInt &&
                             windows.is_cpu() && windows.dim() == 2 &&
                             windows.size(0) == pixels.size(0) && windows.size(1) == 3;
  if (windows_valid && out_height >= 1 && out_width >= 1) return;
  std::ostringstream message;
  message << "crop_flip_normalize: expected u8 pixels [N, H, W, 3], int32 windows [N, 3] on the CPU "
             "and a size of at least 1 x 1 but received "
          << pixels.scalar_type() << " " << pixels.sizes() << ", " << windows.scalar_type() << " "
          << windows.sizes() << " on " << windows.device() << " and " << out_height << " x "
          << out_width << ".";
  throw Error("E_ARGUMENT", message.str());
}

namespace {

// One output row of a sample: out is [width, 3]; row is [width of the image, 3], or null outside.
void write_row(const PixelTable& table, const uint8_t* row, int64_t image_width, int64_t left,
               bool flip, int64_t width, float* out) {
  for (int64_t x = 0; x < width; ++x) {
    const int64_t column = left + (flip ? width - 1 - x : x);
    const bool inside = row && column >= 0 && column < image_width;
    for (int64_t channel = 0; channel < 3; ++channel) {
      *out++ = table.value[channel][inside ? row[column * 3 + channel] : 0];
    }
  }
}

at::Tensor crop_flip_normalize_cpu(const at::Tensor& pixels, const at::Tensor& windows,
                                   int64_t out_height, int64_t out_width,
                                   at::ArrayRef<double> mean, at::ArrayRef<double> std) {
  check_crop(pixels, windows, out_height, out_width);
  const PixelTable table = make_pixel_table(mean, std);
  const int64_t count = pixels.size(0), height = pixels.size(1), width = pixels.size(2);
  const at::Tensor images = pixels.contiguous(), cuts = windows.contiguous();
  const at::Tensor result =
      at::empty({count, 3, out_height, out_width}, at::TensorOptions().dtype(at::kFloat),
                at::MemoryFormat::ChannelsLast);
  const uint8_t* image = images.const_data_ptr<uint8_t>();
  const int32_t* window = cuts.const_data_ptr<int32_t>();
  float* out = result.data_ptr<float>();

  at::parallel_for(0, count * out_height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sample = i / out_height;
      const int32_t* cut = window + sample * 3;
      const int64_t y = cut[0] + i % out_height;
      const bool inside = y >= 0 && y < height;
      const uint8_t* row = inside ? image + (sample * height + y) * width * 3 : nullptr;
      write_row(table, row, width, cut[1], cut[2] != 0, out_width, out + i * out_width * 3);
    }
  });
  return result;
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def("crop_flip_normalize(Tensor pixels, Tensor windows, int out_height, int out_width, "
        "float[] mean, float[] std) -> Tensor");
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("crop_flip_normalize", &crop_flip_normalize_cpu); }

}  // namespace

at::Tensor crop_flip_normalize(const at::Tensor& pixels, const at::Tensor& windows,
                               int64_t out_height, int64_t out_width,
                               const std::array<float, 3>& mean, const std::array<float, 3>& std) {
  using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, int64_t, int64_t,
                               at::ArrayRef<double>, at::ArrayRef<double>);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mcloss::crop_flip_normalize", "")
                             .typed<Signature>();
  const std::array<double, 3> means{mean[0], mean[1], mean[2]}, stds{std[0], std[1], std[2]};
  return op.call(pixels, windows, out_height, out_width, means, stds);
}

}  // namespace mcloss
