// gather_augment on the CPU: tensors to plain arrays, threads over output lines. The loops over the
// pixels: gather_augment/loops.cpp.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "ops/gather_augment/checks.h"
#include "ops/kernel/processor.h"

namespace mcloss {
namespace {

// A thread is worth waking for this many pixels.
constexpr int64_t kGrainPixels = 16 * 1024;

GatherLines lines_of(at::ScalarType dtype) {
  static const GatherLines* const all = form_for_processor(
      at::get_cpu_capability(), gather_lines_plain, gather_lines_avx2, gather_lines_avx512)();
  return all[dtype == at::kFloat ? 0 : dtype == at::kBFloat16 ? 1 : 2];
}

at::Tensor gather_cpu(const GatherArguments& arguments) {
  const GatherTensors tensors = prepare_gather(arguments);
  const GatherArrays arrays = arrays_of(tensors, arguments);
  const GatherLines lines = lines_of(arguments.dtype);
  const int64_t grain = std::max<int64_t>(1, kGrainPixels / arguments.out_width);
  at::parallel_for(0, arguments.windows.size(0) * arguments.out_height, grain,
                   [&](int64_t first, int64_t last) {
                     std::vector<uint8_t> scratch(gather_scratch_bytes(arguments.out_width));
                     lines(arrays, first, last, scratch.data());
                   });
  return tensors.result;
}

at::Tensor gather_augment_cpu(const at::Tensor& pixels, const MaybeTensor& rows,
                              const at::Tensor& windows, const MaybeTensor& jitter,
                              int64_t out_height, int64_t out_width, at::ArrayRef<double> mean,
                              at::ArrayRef<double> std, at::ScalarType dtype,
                              const MaybeTensor& erased) {
  return gather_cpu(
      {pixels, rows, windows, jitter, out_height, out_width, mean, std, dtype, erased});
}

void gather_augment_into_cpu(at::Tensor& out, const at::Tensor& pixels, const MaybeTensor& rows,
                             const at::Tensor& windows, const MaybeTensor& jitter,
                             at::ArrayRef<double> mean, at::ArrayRef<double> std,
                             const MaybeTensor& erased) {
  gather_cpu({pixels, rows, windows, jitter, out.size(2), out.size(3), mean, std, out.scalar_type(),
              erased, &out});
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("gather_augment", &gather_augment_cpu);
  m.impl("gather_augment_into_", &gather_augment_into_cpu);
}

}  // namespace
}  // namespace mcloss
