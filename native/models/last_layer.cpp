#include "models/last_layer.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace mcloss {
namespace {

// Rows of length 1. The small number keeps the gradient of a row of zeros finite.
at::Tensor unit(const at::Tensor& x) {
  return x * (x.square().sum(1, /*keepdim=*/true) + 1e-12).rsqrt();
}

}  // namespace

LastLayer::LastLayer(const ClassifierConfig& config, int64_t in, int64_t classes)
    : config_(config) {
  const bool means = config.kind == ClassifierKind::distance;
  rows = register_parameter(means ? "means" : "weight", at::empty({classes, in}));
  if (config.kind == ClassifierKind::linear) {
    bias = register_parameter("bias", at::empty({classes}));
  }
}

at::Tensor LastLayer::forward(const at::Tensor& x) const {
  if (config_.kind == ClassifierKind::linear) {
    return at::linear(x, in_use(rows, 0), in_use(bias, 1));
  }
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::Tensor wide = x.to(at::toOpMathType(x.scalar_type()));
  if (config_.kind == ClassifierKind::distance) {
    // Mode 2 sums squares of differences: |x|^2 - 2 x mu + |mu|^2 would lose digits.
    return at::cdist(wide, rows, /*p=*/2, /*compute_mode=*/2).square() * -0.5;
  }
  if (config_.scale.factor == 0) return at::linear(wide, unit(rows));  // |x| cos = x W / |W|
  return at::linear(unit(wide), unit(rows)) * config_.scale.factor;
}

}  // namespace mcloss
