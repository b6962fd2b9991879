#include "ops/gather_augment/checks.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cmath>

namespace mcloss {
namespace {

constexpr const char* kWho = "gather_augment";
constexpr int64_t kMaxSide = 1 << 24;
constexpr float kMaxFactor = 256;  // from here on every difference of 1 saturates

bool is_table(const at::Tensor& tensor, const at::Tensor& pixels, at::ScalarType dtype,
              at::IntArrayRef shape) {
  return (tensor.is_cpu() || tensor.device() == pixels.device()) && tensor.scalar_type() == dtype &&
         tensor.sizes() == shape;
}

void check_shapes(const GatherArguments& a) {
  const at::Tensor &pixels = a.pixels, &windows = a.windows;
  const bool is_store = pixels.scalar_type() == at::kByte && pixels.dim() == 4 &&
                        pixels.size(3) == 3 && pixels.numel() > 0;
  if (!is_store) refuse(kWho, "u8 pixels [M, H, W, 3] of at least one image", describe(pixels));
  const int64_t count = windows.dim() == 2 ? windows.size(0) : 0;
  if (count < 1 || !is_table(windows, pixels, at::kInt, {count, 3})) {
    refuse(kWho, "int32 windows [N, 3] on the CPU or beside the pixels, one or more",
           describe(windows));
  }
  if (a.rows && !is_table(*a.rows, pixels, at::kInt, {count})) {
    refuse(kWho, "int32 rows [N] on the CPU or beside the pixels, one for each window",
           describe(*a.rows));
  }
  if (!a.rows && pixels.size(0) != count) {
    refuse(kWho, "a window for each image where rows are left out",
           c10::str(count, " for ", pixels.size(0)));
  }
  if (a.jitter && !is_table(*a.jitter, pixels, at::kFloat, {count, 3})) {
    refuse(kWho,
           "float32 jitter [N, 3] on the CPU or beside the pixels, three factors for each window",
           describe(*a.jitter));
  }
  if (a.erased && !is_table(*a.erased, pixels, at::kInt, {count, 4})) {
    refuse(kWho, "int32 erased [N, 4] on the CPU or beside the pixels, a rectangle for each window",
           describe(*a.erased));
  }
  const auto is_side = [](int64_t side) { return side >= 1 && side <= kMaxSide; };
  if (!is_side(a.out_height) || !is_side(a.out_width) ||
      count > (int64_t{1} << 58) / (a.out_height * a.out_width)) {
    refuse(kWho, "an output of 1 x 1 to 2^24 x 2^24 that memory can hold",
           c10::str(count, " of ", a.out_height, " x ", a.out_width));
  }
  if (a.dtype != at::kFloat && a.dtype != at::kBFloat16 && a.dtype != at::kHalf) {
    refuse(kWho, "dtype float32, bfloat16 or float16", c10::str(a.dtype));
  }
}

// rows: contiguous, as jitter below.
void check_rows(const at::Tensor& rows, int64_t images) {
  const int32_t* row = rows.const_data_ptr<int32_t>();
  for (int64_t n = 0; n < rows.numel(); ++n) {
    if (row[n] >= 0 && row[n] < images) continue;
    refuse(kWho, "rows 0..M-1", c10::str(row[n], " at ", n, ", with M = ", images));
  }
}

void check_jitter(const at::Tensor& jitter) {
  const float* factor = jitter.const_data_ptr<float>();
  for (int64_t i = 0; i < jitter.numel(); ++i) {
    if (factor[i] >= 0 && factor[i] <= kMaxFactor) continue;
    refuse(kWho, "jitter factors 0..256, 1 for unchanged",
           c10::str(factor[i], " at row ", i / 3, ", column ", i % 3));
  }
}

void check_erased(const at::Tensor& erased, int64_t height, int64_t width) {
  const int32_t* side = erased.const_data_ptr<int32_t>();
  // Whether `length` from `begin` lies in 0..whole.
  const auto fits = [](int64_t begin, int64_t length, int64_t whole) {
    return begin >= 0 && length >= 0 && begin + length <= whole;
  };
  for (int64_t n = 0; n < erased.size(0); ++n, side += 4) {
    if (fits(side[0], side[2], height) && fits(side[1], side[3], width)) continue;
    refuse(kWho, c10::str("rectangles to erase inside the output of ", height, " x ", width),
           c10::str("top ", side[0], ", left ", side[1], ", height ", side[2], ", width ", side[3],
                    " at row ", n));
  }
}

struct Normalisation {
  float offset[3], scale[3];  // the result is (value - offset) * scale
};
Normalisation normalisation_of(const GatherArguments& a) {
  Normalisation result;
  bool valid = a.mean.size() == 3 && a.std.size() == 3;
  for (size_t channel = 0; valid && channel < 3; ++channel) {
    const auto offset = static_cast<float>(255 * a.mean[channel]);
    const auto scale = static_cast<float>(1 / (255 * a.std[channel]));
    valid = std::isfinite(offset) && std::isnormal(scale) && scale > 0;
    result.offset[channel] = offset;
    result.scale[channel] = scale;
  }
  if (!valid) {
    refuse(kWho,
           "three finite means and three standard deviations above 0, of pixels scaled to 0..1",
           c10::str(a.mean, " and ", a.std));
  }
  return result;
}

// A table on the device of the pixels. The copy is one that the host does not wait for: the stream may
// hold the whole step before.
at::Tensor beside(const at::Tensor& pixels, const at::Tensor& table) {
  if (table.device() == pixels.device()) return table;
  const at::Tensor from = pixels.is_cuda() ? table.pin_memory() : table;
  return from.to(pixels.device(), from.scalar_type(), /*non_blocking=*/true);
}

void check_into(const GatherArguments& a) {
  const at::Tensor& out = *a.into;
  const std::array<int64_t, 4> all{a.windows.size(0), 3, a.out_height, a.out_width};
  const at::IntArrayRef sizes = all;
  if (out.sizes() == sizes && out.scalar_type() == a.dtype && out.device() == a.pixels.device() &&
      out.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return;
  }
  refuse(kWho,
         c10::str("out of ", a.dtype, " ", sizes, " on ", a.pixels.device(), ", channels_last"),
         describe(out));
}

// Whether each line's bytes follow one another.
bool has_whole_lines(const at::Tensor& pixels) {
  return pixels.stride(3) == 1 && (pixels.stride(2) == 3 || pixels.size(2) == 1);
}

}  // namespace

void check_gather(const GatherArguments& a) {
  check_shapes(a);
  normalisation_of(a);
}

at::Tensor empty_gather(const GatherArguments& a) {
  return at::empty({a.windows.size(0), 3, a.out_height, a.out_width},
                   a.pixels.options().dtype(a.dtype), at::MemoryFormat::ChannelsLast);
}

void check_gather_values(const MaybeTensor& rows, const MaybeTensor& jitter,
                         const MaybeTensor& erased, int64_t images, const GatherOptions& options) {
  if (rows) check_rows(rows->contiguous(), images);
  if (jitter) check_jitter(jitter->contiguous());
  if (erased) check_erased(erased->contiguous(), options.out_height, options.out_width);
}

GatherTensors prepare_gather(const GatherArguments& a) {
  check_shapes(a);
  const auto on_cpu = [](const MaybeTensor& table) {
    return table && table->is_cpu() ? table : std::nullopt;
  };
  check_gather_values(on_cpu(a.rows), on_cpu(a.jitter), on_cpu(a.erased), a.pixels.size(0),
                      {a.out_height, a.out_width, {}, {}});
  normalisation_of(a);
  if (a.into) check_into(a);
  const auto there = [&](const MaybeTensor& table) {
    return table ? MaybeTensor(beside(a.pixels, table->contiguous())) : std::nullopt;
  };
  return {.pixels = has_whole_lines(a.pixels) ? a.pixels : a.pixels.contiguous(),
          .windows = *there(a.windows),
          .result = a.into ? *a.into : empty_gather(a),
          .rows = there(a.rows),
          .jitter = there(a.jitter),
          .erased = there(a.erased)};
}

GatherArrays arrays_of(const GatherTensors& tensors, const GatherArguments& a) {
  const auto [offset, scale] = normalisation_of(a);
  return {.pixels = tensors.pixels.const_data_ptr<uint8_t>(),
          .image_stride = tensors.pixels.stride(0),
          .line_stride = tensors.pixels.stride(1),
          .height = a.pixels.size(1),
          .width = a.pixels.size(2),
          .rows = data_or_null<const int32_t>(tensors.rows),
          .windows = tensors.windows.const_data_ptr<int32_t>(),
          .jitter = data_or_null<const float>(tensors.jitter),
          .erased = data_or_null<const int32_t>(tensors.erased),
          .out_height = a.out_height,
          .out_width = a.out_width,
          .offset = {offset[0], offset[1], offset[2]},
          .scale = {scale[0], scale[1], scale[2]},
          .out = tensors.result.mutable_data_ptr()};
}

}  // namespace mcloss
