// gather_augment against PIL's results, against a plain twin over random shapes, windows, rows,
// jitter and rectangles, to the bit.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>

#include <limits>
#include <random>

#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "ops/gather_augment.h"
#include "ops/gather_augment/normalisation.h"
#include "ops/operator.h"

namespace test {
namespace {

using mcloss::gather_augment;
using mcloss::GatherOptions;
using mcloss::MaybeTensor;

// With these the result is the u8 level within rounding.
constexpr std::array<float, 3> kNone{0, 0, 0}, kLevels{1 / 255.f, 1 / 255.f, 1 / 255.f};

struct Case {
  at::Tensor pixels;
  MaybeTensor rows;
  at::Tensor windows;
  MaybeTensor jitter;
  int64_t height, width;
  MaybeTensor erased = {};

  at::Tensor run(GatherOptions options, at::DeviceType device) const {
    options.out_height = height;
    options.out_width = width;
    return gather_augment(pixels.to(device), rows, windows, jitter, options, erased);
  }
};

// ---- the twin: a pixel at a time; rounds once an operation by computing it in double ----

int cut_off(double value) { return static_cast<int>(std::min(255.0, std::max(0.0, value))); }

int blend(int from, int to, float factor) {
  const auto change = static_cast<float>(double(to - from) * factor);
  return cut_off(static_cast<float>(from + double{change}));
}

int grey(const uint8_t* pixel) {
  return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

void jitter_window(uint8_t* pixel, int64_t pixels, const float* factor) {
  for (int64_t i = 0; i < pixels * 3; ++i) pixel[i] = blend(0, pixel[i], factor[0]);
  double sum = 0;
  for (int64_t i = 0; i < pixels; ++i) sum += grey(pixel + i * 3);
  const int mean = static_cast<int>(sum / pixels + 0.5);
  for (int64_t i = 0; i < pixels * 3; ++i) pixel[i] = blend(mean, pixel[i], factor[1]);
  for (int64_t i = 0; i < pixels; ++i) {
    const int own = grey(pixel + i * 3);
    for (int64_t c = 0; c < 3; ++c) pixel[i * 3 + c] = blend(own, pixel[i * 3 + c], factor[2]);
  }
}

// u8 [N, height, width, 3].
at::Tensor levels_of(const Case& a) {
  const int64_t count = a.windows.size(0);
  const at::Tensor images = a.pixels.contiguous(), windows = a.windows.contiguous();
  const at::Tensor levels = at::empty({count, a.height, a.width, 3}, at::kByte);
  uint8_t* out = levels.data_ptr<uint8_t>();
  for (int64_t n = 0; n < count; ++n) {
    const int64_t image = a.rows ? (*a.rows)[n].item<int64_t>() : n;
    const int32_t* window = windows.const_data_ptr<int32_t>() + n * 3;
    const uint8_t* from = images.const_data_ptr<uint8_t>() + image * images.stride(0);
    uint8_t* const begin = out;
    for (int64_t y = 0; y < a.height; ++y) {
      for (int64_t x = 0; x < a.width; ++x) {
        const int64_t row = window[0] + y, column = window[1] + (window[2] ? a.width - 1 - x : x);
        const bool inside =
            row >= 0 && row < images.size(1) && column >= 0 && column < images.size(2);
        const uint8_t* pixel = from + (row * images.size(2) + column) * 3;
        for (int64_t c = 0; c < 3; ++c) *out++ = inside ? pixel[c] : 0;
      }
    }
    if (a.jitter) {
      const at::Tensor factor = (*a.jitter)[n].contiguous();
      jitter_window(begin, a.height * a.width, factor.const_data_ptr<float>());
    }
  }
  return levels;
}

// float32 [N, 3, height, width] of the levels, by the two operations the header promises.
at::Tensor normalised(const at::Tensor& levels) {
  const at::Tensor result = at::empty(levels.sizes(), at::kFloat);
  const uint8_t* level = levels.const_data_ptr<uint8_t>();
  float* out = result.data_ptr<float>();
  for (int64_t i = 0; i < levels.numel(); ++i) {
    const auto offset = static_cast<float>(255 * double{kMean[i % 3]});
    const auto scale = static_cast<float>(1 / (255 * double{kStd[i % 3]}));
    out[i] = static_cast<float>(double{static_cast<float>(level[i] - double{offset})} * scale);
  }
  return result.permute({0, 3, 1, 2});
}

// planes: [N, 3, height, width], changed in place.
void erase(const Case& a, const at::Tensor& planes) {
  for (int64_t n = 0; a.erased && n < planes.size(0); ++n) {
    const auto side = [&](int64_t i) { return (*a.erased)[n][i].item<int64_t>(); };
    for (int64_t y = side(0); y < side(0) + side(2); ++y) {
      for (int64_t x = side(1); x < side(1) + side(3); ++x) {
        for (int64_t c = 0; c < 3; ++c) planes[n][c][y][x] = 0;
      }
    }
  }
}

void compare(const Case& a, const std::string& what) {
  const at::Tensor levels = levels_of(a), expected = normalised(levels);
  erase(a, expected);
  erase(a, levels.permute({0, 3, 1, 2}));  // the mean is 0 where the result is a level
  for (const at::DeviceType device : devices()) {
    const std::string name = what + " on " + c10::DeviceTypeName(device);
    const at::Tensor plain = a.run({0, 0, kNone, kLevels}, device);
    const at::Tensor rounded = plain.cpu().round().permute({0, 2, 3, 1});
    check(rounded.equal(levels.to(at::kFloat)), name + ": levels");
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      const at::Tensor result = a.run({0, 0, kMean, kStd, dtype}, device);
      const bool form = result.scalar_type() == dtype && result.device().type() == device &&
                        result.is_contiguous(at::MemoryFormat::ChannelsLast);
      check(form && result.cpu().equal(expected.to(dtype)), name + ": " + c10::toString(dtype));
    }
  }
}

// ---- random cases ----

class Draw {
 public:
  explicit Draw(uint32_t seed) : random_(seed) {}
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  float factor() {
    constexpr float kSpecial[] = {0, 0.3f, 1, 1, 1.7f, 256, 1e-30f};
    const int64_t which = integer(0, 13);
    return which < 7 ? kSpecial[which] : static_cast<float>(integer(0, 1 << 20)) * 0x1p-19f;
  }

 private:
  std::mt19937 random_;
};

// Bytes of the same images in another layout: 0 whole, 1 lines of larger images, every second of
// them, 2 channel planes, 3 one image for all.
at::Tensor images(int64_t count, int64_t height, int64_t width, int64_t layout) {
  if (layout == 1) {
    const at::Tensor larger = at::randint(0, 256, {2 * count, height + 3, width + 2, 3}, at::kByte);
    return larger.slice(0, 1, 2 * count, 2).narrow(1, 2, height).narrow(2, 1, width);
  }
  if (layout == 2) {
    return at::randint(0, 256, {count, 3, height, width}, at::kByte).permute({0, 2, 3, 1});
  }
  if (layout == 3) {
    return at::randint(0, 256, {1, height, width, 3}, at::kByte).expand({count, -1, -1, -1});
  }
  return at::randint(0, 256, {count, height, width, 3}, at::kByte);
}

void random_cases() {
  Draw draw(31);
  for (int64_t i = 0; i < 240 / one_in; ++i) {
    const int64_t samples = draw.integer(1, 4), stored = i % 3 == 0 ? samples : draw.integer(1, 5);
    const int64_t height = draw.integer(1, 30), width = draw.integer(1, 70);
    Case a{.pixels = images(stored, height, width, draw.integer(0, 3)),
           .rows = {},
           .windows = at::empty({samples, 3}, at::kInt),
           .jitter = {},
           .height = draw.integer(1, 24),
           .width = i % 5 == 0 ? 1 : draw.integer(1, 75)};
    if (i % 3 != 0) a.rows = at::randint(0, stored, {samples}, at::kInt);
    for (int64_t n = 0; n < samples; ++n) {
      a.windows[n][0] = draw.integer(-a.height - 1, height + 1);
      a.windows[n][1] = draw.integer(-a.width - 1, width + 1);
      a.windows[n][2] = draw.integer(0, 1);
    }
    if (i % 4 != 0) {
      a.jitter = at::empty({samples, 3}, at::kFloat);
      for (int64_t k = 0; k < samples * 3; ++k) (*a.jitter)[k / 3][k % 3] = draw.factor();
    }
    if (i % 2 == 0) {
      a.erased = at::empty({samples, 4}, at::kInt);
      for (int64_t n = 0; n < samples; ++n) {
        const int64_t top = draw.integer(0, a.height), left = draw.integer(0, a.width);
        const int64_t rectangle[] = {top, left, draw.integer(0, a.height - top),
                                     draw.integer(0, a.width - left)};
        for (int64_t k = 0; k < 4; ++k) (*a.erased)[n][k] = rectangle[k];
      }
    }
    compare(a, "gather_augment, random case " + std::to_string(i));
  }
}

void extreme_windows() {
  const at::Tensor pixels = at::randint(0, 256, {4, 5, 6, 3}, at::kByte);
  constexpr int32_t kLow = std::numeric_limits<int32_t>::min(), kHigh = 0x7fffffff;
  const at::Tensor windows = at::empty({4, 3}, at::kInt);
  const int32_t cuts[4][3] = {{kLow, 0, 0}, {kHigh, kHigh, 1}, {0, kLow, 1}, {0, kHigh, 0}};
  std::copy(&cuts[0][0], &cuts[0][0] + 12, windows.data_ptr<int32_t>());
  compare({pixels, {}, windows, at::full({4, 3}, 0.5, at::kFloat), 4, 20}, "windows far outside");
  // Tables that are slices of larger ones.
  const at::Tensor strided = at::randint(-3, 3, {4, 6}, at::kInt).slice(1, 0, 6, 2);
  const at::Tensor rows = at::randint(0, 4, {8}, at::kInt).slice(0, 0, 8, 2);
  compare({pixels, rows, strided, at::full({3, 4}, 1.25, at::kFloat).t(), 4, 9}, "strided tables");
}

// ---- PIL, threads ----

void pil(const std::string& folder) {
  const auto file = read_fixture(folder + "/cases.safetensors");
  const auto tensor = [&](const std::string& wanted) {
    for (const auto& [name, value] : file.tensors) {
      if (name == wanted) return value;
    }
    throw std::runtime_error(folder + " lacks " + wanted);
  };
  const at::Tensor expected = tensor("expected").permute({0, 3, 1, 2}).to(at::kFloat);
  const GatherOptions options{expected.size(2), expected.size(3), kNone, kLevels};
  for (const at::DeviceType device : devices()) {
    const at::Tensor actual = gather_augment(tensor("images").to(device), tensor("rows"),
                                             tensor("windows"), tensor("factors"), options);
    const at::Tensor wrong = actual.cpu().round().ne(expected).flatten(1).any(1);
    check(wrong.numel() > 100 && !wrong.any().item<bool>(),
          "gather_augment equals PIL on " + c10::DeviceTypeName(device) + ": " +
              std::to_string(wrong.sum().item<int64_t>()) + " cases differ");
  }
}

void same_for_all_threads() {
  const int before = at::get_num_threads();
  const at::Tensor pixels = at::randint(0, 256, {5, 140, 150, 3}, at::kByte);
  const Case a{pixels,
               {},
               at::randint(-9, 9, {5, 3}, at::kInt),
               at::randint(0, 256, {5, 3}, at::kFloat) / 128,
               131,
               143};
  at::set_num_threads(1);
  const at::Tensor one = a.run({0, 0, kMean, kStd}, at::kCPU);
  for (const int threads : {2, 3, 7}) {
    at::set_num_threads(threads);
    check(a.run({0, 0, kMean, kStd}, at::kCPU).equal(one),
          "gather_augment: same bits from 1 and " + std::to_string(threads) + " threads");
  }
  at::set_num_threads(before);
}

}  // namespace

void gather_augment_cases(const std::string& folder) {
  test_case("gather_augment: pil", [&] { pil(folder); });
  test_case("gather_augment: random cases", random_cases);
  test_case("gather_augment: extreme windows", extreme_windows);
  test_case("gather_augment: same for all threads", same_for_all_threads);
}

}  // namespace test
