// Schema and dispatch of mcloss::gather_augment; it has no derivative. The work: gather_augment/cpu.cpp
// and cuda.cu.
#include "ops/gather_augment.h"

#include <torch/library.h>

#include <array>
#include <tuple>

#include "ops/gather_augment/checks.h"

namespace mcloss {
namespace {

// Shapes without values, for tracing with fixed shapes.
at::Tensor gather_augment_meta(const at::Tensor& pixels, const MaybeTensor& rows,
                               const at::Tensor& windows, const MaybeTensor& jitter,
                               int64_t out_height, int64_t out_width, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype,
                               const MaybeTensor& erased) {
  const GatherArguments arguments{pixels,    rows, windows, jitter, out_height,
                                  out_width, mean, std,     dtype,  erased};
  check_gather(arguments);
  return empty_gather(arguments);
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  m.def(
      "gather_augment(Tensor pixels, Tensor? rows, Tensor windows, Tensor? jitter, "
      "int out_height, int out_width, float[] mean, float[] std, ScalarType dtype, "
      "Tensor? erased=None) -> Tensor");
  m.def(
      "gather_augment_into_(Tensor(a!) out, Tensor pixels, Tensor? rows, Tensor windows, "
      "Tensor? jitter, float[] mean, float[] std, Tensor? erased=None) -> ()");
}

void gather_augment_into_meta(at::Tensor&, const at::Tensor&, const MaybeTensor&, const at::Tensor&,
                              const MaybeTensor&, at::ArrayRef<double>, at::ArrayRef<double>,
                              const MaybeTensor&) {}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) {
  m.impl("gather_augment", &gather_augment_meta);
  m.impl("gather_augment_into_", &gather_augment_into_meta);
}

}  // namespace

at::Tensor gather_augment(const at::Tensor& pixels, const MaybeTensor& rows,
                          const at::Tensor& windows, const MaybeTensor& jitter,
                          const GatherOptions& options, const MaybeTensor& erased) {
  using Signature = at::Tensor(const at::Tensor&, const MaybeTensor&, const at::Tensor&,
                               const MaybeTensor&, int64_t, int64_t, at::ArrayRef<double>,
                               at::ArrayRef<double>, at::ScalarType, const MaybeTensor&);
  static const auto op = find_operator<Signature>("mcloss::gather_augment");
  const auto& [out_height, out_width, mean, std, dtype] = options;
  const std::array<double, 3> means{mean[0], mean[1], mean[2]}, stds{std[0], std[1], std[2]};
  return op.call(pixels, rows, windows, jitter, out_height, out_width, means, stds, dtype, erased);
}

void gather_augment_into(at::Tensor out, const at::Tensor& pixels, const MaybeTensor& rows,
                         const at::Tensor& windows, const MaybeTensor& jitter,
                         const GatherOptions& options, const MaybeTensor& erased) {
  using Signature =
      void(at::Tensor&, const at::Tensor&, const MaybeTensor&, const at::Tensor&,
           const MaybeTensor&, at::ArrayRef<double>, at::ArrayRef<double>, const MaybeTensor&);
  static const auto op = find_operator<Signature>("mcloss::gather_augment_into_");
  const auto& [mean, std] = std::tie(options.mean, options.std);
  const std::array<double, 3> means{mean[0], mean[1], mean[2]}, stds{std[0], std[1], std[2]};
  op.call(out, pixels, rows, windows, jitter, means, stds, erased);
}

}  // namespace mcloss
