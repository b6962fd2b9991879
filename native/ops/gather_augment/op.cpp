// Schema, checks and dispatch of mcloss::gather_augment; it has no derivative. The work:
// gather_augment/cpu.cpp, gather_augment_cuda.cu.
#include "ops/gather_augment.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <sstream>

#include "types.h"

namespace mcloss {
namespace {

using MaybeTensor = std::optional<at::Tensor>;

constexpr int64_t kMaxSide = 1 << 24;
constexpr float kMaxFactor = 256;  // from here on every difference of 1 saturates

// Streams `received` after "gather_augment: expected .. but received".
template <typename... Received>
[[noreturn]] void refuse(const char* expected, const Received&... received) {
  std::ostringstream message;
  message << "gather_augment: expected " << expected << " but received ";
  (message << ... << received) << ".";
  throw Error("E_ARGUMENT", message.str());
}

[[noreturn]] void refuse_tensor(const char* expected, const at::Tensor& received) {
  refuse(expected, received.scalar_type(), " ", received.sizes(), " on ", received.device());
}

bool is_table(const at::Tensor& tensor, at::ScalarType dtype, at::IntArrayRef shape) {
  return (tensor.is_cpu() || tensor.is_meta()) && tensor.scalar_type() == dtype &&
         tensor.sizes() == shape;
}

void check_shapes(const GatherArguments& a) {
  const at::Tensor &pixels = a.pixels, &windows = a.windows;
  const bool is_store = pixels.scalar_type() == at::kByte && pixels.dim() == 4 &&
                        pixels.size(3) == 3 && pixels.numel() > 0;
  if (!is_store) refuse_tensor("u8 pixels [M, H, W, 3] of at least one image", pixels);
  const int64_t count = windows.dim() == 2 ? windows.size(0) : 0;
  if (count < 1 || !is_table(windows, at::kInt, {count, 3})) {
    refuse_tensor("int32 windows [N, 3] on the CPU, one or more", windows);
  }
  if (a.rows && !is_table(*a.rows, at::kInt, {count})) {
    refuse_tensor("int32 rows [N] on the CPU, one for each window", *a.rows);
  }
  if (!a.rows && pixels.size(0) != count) {
    refuse("a window for each image where rows are left out", count, " for ", pixels.size(0));
  }
  if (a.jitter && !is_table(*a.jitter, at::kFloat, {count, 3})) {
    refuse_tensor("float32 jitter [N, 3] on the CPU, three factors for each window", *a.jitter);
  }
  const auto is_side = [](int64_t side) { return side >= 1 && side <= kMaxSide; };
  if (!is_side(a.out_height) || !is_side(a.out_width) ||
      count > (int64_t{1} << 58) / (a.out_height * a.out_width)) {
    refuse("an output of 1 x 1 to 2^24 x 2^24 that memory can hold", count, " of ", a.out_height,
           " x ", a.out_width);
  }
  if (a.dtype != at::kFloat && a.dtype != at::kBFloat16 && a.dtype != at::kHalf) {
    refuse("dtype float32, bfloat16 or float16", a.dtype);
  }
}

void check_values(const GatherTensors& tensors) {
  const int64_t count = tensors.windows.size(0), images = tensors.pixels.size(0);
  if (tensors.rows.defined()) {
    const int32_t* row = tensors.rows.const_data_ptr<int32_t>();
    for (int64_t n = 0; n < count; ++n) {
      if (row[n] < 0 || row[n] >= images) {
        refuse("rows 0..M-1", row[n], " at ", n, ", with M = ", images);
      }
    }
  }
  if (!tensors.jitter.defined()) return;
  const float* factor = tensors.jitter.const_data_ptr<float>();
  for (int64_t i = 0; i < count * 3; ++i) {
    if (!(factor[i] >= 0 && factor[i] <= kMaxFactor)) {
      refuse("jitter factors 0..256, 1 for unchanged", factor[i], " at row ", i / 3, ", column ",
             i % 3);
    }
  }
}

void fill_normalisation(const GatherArguments& a, GatherTensors& tensors) {
  bool valid = a.mean.size() == 3 && a.std.size() == 3;
  for (size_t channel = 0; valid && channel < 3; ++channel) {
    const auto offset = static_cast<float>(255 * a.mean[channel]);
    const auto scale = static_cast<float>(1 / (255 * a.std[channel]));
    valid = std::isfinite(offset) && std::isnormal(scale) && scale > 0;
    tensors.offset[channel] = offset;
    tensors.scale[channel] = scale;
  }
  if (!valid) {
    refuse("three finite means and three standard deviations above 0, of pixels scaled to 0..1",
           a.mean, " and ", a.std);
  }
}

at::Tensor empty_result(const GatherArguments& a) {
  return at::empty({a.windows.size(0), 3, a.out_height, a.out_width},
                   a.pixels.options().dtype(a.dtype), at::MemoryFormat::ChannelsLast);
}

// Whether each line's bytes follow one another.
bool has_whole_lines(const at::Tensor& pixels) {
  return pixels.stride(3) == 1 && (pixels.stride(2) == 3 || pixels.size(2) == 1);
}

// Shapes without values, for tracing with fixed shapes.
at::Tensor gather_augment_meta(const at::Tensor& pixels, const MaybeTensor& rows,
                               const at::Tensor& windows, const MaybeTensor& jitter,
                               int64_t out_height, int64_t out_width, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype) {
  const GatherArguments arguments{pixels,    rows, windows, jitter, out_height,
                                  out_width, mean, std,     dtype};
  GatherTensors unused;
  check_shapes(arguments);
  fill_normalisation(arguments, unused);
  return empty_result(arguments);
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def(
      "gather_augment(Tensor pixels, Tensor? rows, Tensor windows, Tensor? jitter, "
      "int out_height, int out_width, float[] mean, float[] std, ScalarType dtype) -> Tensor");
}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) { m.impl("gather_augment", &gather_augment_meta); }

}  // namespace

GatherTensors prepare_gather(const GatherArguments& a) {
  check_shapes(a);
  GatherTensors tensors;
  tensors.pixels = a.pixels;
  tensors.windows = a.windows.contiguous();
  if (a.rows) tensors.rows = a.rows->contiguous();
  if (a.jitter) tensors.jitter = a.jitter->contiguous();
  check_values(tensors);
  fill_normalisation(a, tensors);

  const at::Device device = a.pixels.device();
  if (!has_whole_lines(a.pixels)) tensors.pixels = a.pixels.contiguous();
  for (at::Tensor* table : {&tensors.rows, &tensors.windows, &tensors.jitter}) {
    if (table->defined()) *table = table->to(device);
  }
  tensors.result = empty_result(a);
  return tensors;
}

at::Tensor gather_augment(const at::Tensor& pixels, const MaybeTensor& rows,
                          const at::Tensor& windows, const MaybeTensor& jitter,
                          const GatherOptions& options) {
  using Signature =
      at::Tensor(const at::Tensor&, const MaybeTensor&, const at::Tensor&, const MaybeTensor&,
                 int64_t, int64_t, at::ArrayRef<double>, at::ArrayRef<double>, at::ScalarType);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mcloss::gather_augment", "")
                             .typed<Signature>();
  const auto& [out_height, out_width, mean, std, dtype] = options;
  const std::array<double, 3> means{mean[0], mean[1], mean[2]}, stds{std[0], std[1], std[2]};
  return op.call(pixels, rows, windows, jitter, out_height, out_width, means, stds, dtype);
}

}  // namespace mcloss
