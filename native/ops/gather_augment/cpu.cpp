// gather_augment on the CPU: tensors to plain arrays, threads over output lines. The loops over the
// pixels: gather_augment/loops.cpp.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "ops/gather_augment.h"
#include "ops/gather_augment/loops.h"
#include "ops/kernel/processor.h"

namespace mcloss {
namespace {

// A thread is worth waking for this many pixels.
constexpr int64_t kGrainPixels = 16 * 1024;

// LibTorch's own choice for this processor; the environment variable ATEN_CPU_CAPABILITY lowers it.
GatherLines lines_of(at::ScalarType dtype) {
  static const GatherLines* const all = form_for_processor(
      at::get_cpu_capability(), gather_lines_plain, gather_lines_avx2, gather_lines_avx512)();
  return all[dtype == at::kFloat ? 0 : dtype == at::kBFloat16 ? 1 : 2];
}

template <typename T>
const T* pointer_to(const at::Tensor& table) {
  return table.defined() ? table.const_data_ptr<T>() : nullptr;
}

at::Tensor gather_augment_cpu(const at::Tensor& pixels, const std::optional<at::Tensor>& rows,
                              const at::Tensor& windows, const std::optional<at::Tensor>& jitter,
                              int64_t out_height, int64_t out_width, at::ArrayRef<double> mean,
                              at::ArrayRef<double> std, at::ScalarType dtype) {
  const GatherTensors tensors =
      prepare_gather({pixels, rows, windows, jitter, out_height, out_width, mean, std, dtype});
  const auto& [offset, scale] = std::tie(tensors.offset, tensors.scale);
  const GatherArrays arrays{.pixels = tensors.pixels.const_data_ptr<uint8_t>(),
                            .image_stride = tensors.pixels.stride(0),
                            .line_stride = tensors.pixels.stride(1),
                            .height = pixels.size(1),
                            .width = pixels.size(2),
                            .rows = pointer_to<int32_t>(tensors.rows),
                            .windows = pointer_to<int32_t>(tensors.windows),
                            .jitter = pointer_to<float>(tensors.jitter),
                            .out_height = out_height,
                            .out_width = out_width,
                            .offset = {offset[0], offset[1], offset[2]},
                            .scale = {scale[0], scale[1], scale[2]},
                            .out = tensors.result.mutable_data_ptr()};
  const GatherLines lines = lines_of(dtype);
  const int64_t grain = std::max<int64_t>(1, kGrainPixels / out_width);
  at::parallel_for(0, windows.size(0) * out_height, grain, [&](int64_t first, int64_t last) {
    std::vector<uint8_t> scratch(gather_scratch_bytes(out_width));
    lines(arrays, first, last, scratch.data());
  });
  return tensors.result;
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { m.impl("gather_augment", &gather_augment_cpu); }

}  // namespace
}  // namespace mcloss
