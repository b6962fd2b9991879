#include "ops/winograd_conv/checks.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <array>

namespace mcloss {
namespace {

constexpr const char* kWho = "winograd_conv";

bool is_like(const at::Tensor& values, const at::Tensor& x) {
  return values.scalar_type() == x.scalar_type() && values.device() == x.device();
}

std::array<int64_t, 4> result_sizes(const at::Tensor& x, const at::Tensor& weight) {
  return {x.size(0), weight.size(0), x.size(2), x.size(3)};
}

}  // namespace

void check_winograd_conv(const at::Tensor& x, const at::Tensor& weight, const MaybeTensor& bias) {
  if (x.dim() != 4 || x.numel() == 0 ||
      (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble)) {
    refuse(kWho, "x [N, C, H, W] of float32 or float64 with at least one value", describe(x));
  }
  if (!is_like(weight, x) || weight.dim() != 4 || weight.size(0) == 0 ||
      weight.size(1) != x.size(1) || weight.size(2) != 3 || weight.size(3) != 3) {
    refuse(kWho, c10::str("weight [out, in, 3, 3] for x ", describe(x)), describe(weight));
  }
  if (bias && (!is_like(*bias, x) || bias->sizes() != at::IntArrayRef{weight.size(0)})) {
    refuse(kWho, c10::str("bias [out] for weight ", describe(weight)), describe(*bias));
  }
}

void check_winograd_conv_backward(const at::Tensor& grad, const at::Tensor& x,
                                  const at::Tensor& weight) {
  check_winograd_conv(x, weight, {});
  if (!is_like(grad, x) || grad.sizes() != at::IntArrayRef(result_sizes(x, weight))) {
    refuse(kWho,
           c10::str("grad like the result for x ", describe(x), " and weight ", describe(weight)),
           describe(grad));
  }
}

at::Tensor empty_winograd_conv(const at::Tensor& x, const at::Tensor& weight) {
  return at::empty(result_sizes(x, weight),
                   x.options().memory_format(at::MemoryFormat::ChannelsLast));
}

at::Tensor empty_winograd_grad(const at::Tensor& values) {
  return at::empty_like(values, at::MemoryFormat::ChannelsLast);
}

}  // namespace mcloss
