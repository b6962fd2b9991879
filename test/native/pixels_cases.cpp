// resize_u8 against PIL's results, crop_flip_normalize against its definition.
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>

#include <cmath>

#include "cases.h"
#include "check.h"
#include "io/safetensors.h"
#include "ops/pixels.h"

namespace test {
namespace {

void resize(const std::string& folder) {
  const auto file = mcloss::read_safetensors(folder + "/cases.safetensors");
  at::Tensor image;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "image") image = tensor;
  }
  // The same pixels as a window of a larger image.
  const at::Tensor larger = image.new_empty({image.size(0), image.size(1) + 5, 3});
  const at::Tensor view = larger.narrow(1, 2, image.size(1));
  view.copy_(image);
  for (const auto& [name, expected] : file.tensors) {
    if (name == "image") continue;
    for (const at::Tensor& input : {image, view}) {
      const at::Tensor actual = mcloss::resize_u8(input, expected.size(0), expected.size(1));
      check(actual.scalar_type() == at::kByte && actual.is_contiguous(), "resize " + name + ": u8");
      check_close(actual, expected, 1, "resize to " + name, 1);
    }
  }
  check(mcloss::resize_u8(image, image.size(0), image.size(1)).is_same(image), "resize to itself");
  check_error("E_ARGUMENT", "resize", [&] { mcloss::resize_u8(image, 0, 4); });
  check_error("E_ARGUMENT", "resize", [&] { mcloss::resize_u8(image.to(at::kFloat), 4, 4); });
}

void crop(at::DeviceType device) {
  const at::Tensor pixels = at::randint(0, 256, {4, 7, 9, 3}, at::kByte);
  const int32_t cuts[4][3] = {{0, 0, 0}, {1, 2, 1}, {-3, -2, 0}, {4, 6, 1}};
  const at::Tensor windows = at::empty({4, 3}, at::kInt);
  std::copy(&cuts[0][0], &cuts[0][0] + 12, windows.data_ptr<int32_t>());
  const std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, std{0.229f, 0.224f, 0.225f};
  const at::Tensor result =
      mcloss::crop_flip_normalize(pixels.to(device), windows, 5, 6, mean, std);
  const at::Tensor actual = result.cpu();
  check(actual.sizes() == at::IntArrayRef{4, 3, 5, 6} && actual.scalar_type() == at::kFloat &&
            result.is_contiguous(at::MemoryFormat::ChannelsLast) && result.device().type() == device,
        "crop: float32 channels_last");
  double worst = 0;
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t y = 0; y < 5; ++y) {
      for (int64_t x = 0; x < 6; ++x) {
        const int64_t row = cuts[n][0] + y, column = cuts[n][1] + (cuts[n][2] ? 5 - x : x);
        const bool inside = row >= 0 && row < 7 && column >= 0 && column < 9;
        for (int64_t c = 0; c < 3; ++c) {
          const double value = inside ? pixels[n][row][column][c].item<double>() : 0;
          const double expected = (value / 255 - mean[c]) / std[c];
          worst = std::max(worst, std::abs(actual[n][c][y][x].item<double>() - expected));
        }
      }
    }
  }
  check(worst <= 1e-6, "crop, flip, normalise by definition on " + c10::DeviceTypeName(device) +
                           ": off by " + std::to_string(worst));
  const auto refuse = [&](const at::Tensor& p, const at::Tensor& w, std::array<float, 3> s) {
    check_error("E_ARGUMENT", "crop_flip_normalize",
                [&] { mcloss::crop_flip_normalize(p, w, 5, 6, mean, s); });
  };
  refuse(pixels, windows, {1, 0, 1});
  refuse(pixels, windows.narrow(0, 0, 3), std);
  refuse(pixels, windows.to(at::kLong), std);
  refuse(pixels.to(at::kFloat), windows, std);
}

}  // namespace

void pixels(const std::string& folder) {
  resize(folder);
  for (const at::DeviceType device : devices()) crop(device);
}

}  // namespace test
