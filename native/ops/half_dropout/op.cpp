// mcloss::draw_half_dropout_, of which half_dropout/cpu.cpp and cuda.cu have the kernels.
#include "ops/half_dropout.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "ops/operator.h"

namespace mcloss {
namespace {

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  // scale: float [samples, width], contiguous.
  m.def(
      "draw_half_dropout_(Tensor(a!) scale, Tensor seed_step, int first_sample, int layer) -> ()");
}

}  // namespace

at::Tensor half_dropout_scale(const at::Tensor& seed_step, int64_t samples, int64_t width,
                              int64_t first_sample, int64_t layer) {
  static const auto op = find_operator<void(at::Tensor&, const at::Tensor&, int64_t, int64_t)>(
      "mcloss::draw_half_dropout_");
  at::Tensor scale =
      at::empty({samples, width}, at::TensorOptions().dtype(at::kFloat).device(seed_step.device()));
  op.call(scale, seed_step, first_sample, layer);
  return scale;
}

}  // namespace mcloss
