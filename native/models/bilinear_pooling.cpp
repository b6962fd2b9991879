#include "models/bilinear_pooling.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/triu_indices.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace mcloss {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int newton_schulz_steps = 5;
constexpr double tiny = 1e-12;  // keeps the gradients of zeros finite

// [N, C, H, W] -> [N, L, C] without a copy, of a dtype that products may be summed in.
Tensor positions_of(const Tensor& features) {
  return features.flatten(2).transpose(1, 2).to(at::toOpMathType(features.scalar_type()));
}

at::TensorOptions whole_numbers(const Tensor& like) { return like.options().dtype(at::kLong); }

// [N, C, C] -> [N, C (C + 1) / 2]
Tensor triangle_of(const Tensor& matrices) {
  const int64_t side = matrices.size(1);
  const Tensor pairs = at::triu_indices(side, side, 0, whole_numbers(matrices));
  return matrices.flatten(1).index_select(1, pairs[0] * side + pairs[1]);
}

// The symmetric [N, C, C] whose triangle that is.
Tensor symmetric_of(const Tensor& triangle, int64_t side) {
  const Tensor channel = at::arange(side, whole_numbers(triangle));
  const Tensor row = at::minimum(channel.unsqueeze(1), channel);
  const Tensor column = at::maximum(channel.unsqueeze(1), channel);
  const Tensor place = (row * (2 * side - 1 - row)).floor_divide(2) + column;
  return triangle.index_select(1, place.flatten()).view({-1, side, side});
}

// [D]: `off` for the pairs of two channels, `on` for a channel with itself.
Tensor by_pair(double off, double on, int64_t side, const Tensor& like) {
  Tensor values = at::full({1, side, side}, off, like.options());
  values.diagonal(0, 1, 2).fill_(on);
  return triangle_of(values)[0];
}

// By hand, so that nothing of a matrix's size is kept but the result, and because autograd takes the
// derivative of |v| at 0 as 0, where that of s is 1 / (2 sqrt(eps)).
struct BilinearPooling : torch::autograd::Function<BilinearPooling> {
  static Tensor forward(AutogradContext* context, const Tensor& positions, double eps) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const int64_t count = positions.size(1), side = positions.size(2);
    const Tensor v =
        triangle_of(at::bmm(positions.transpose(1, 2), positions)).div_(static_cast<double>(count));
    Tensor s = v.abs().add_(eps).sqrt_().sub_(std::sqrt(eps)).mul_(v.sign());
    s.mul_(by_pair(std::sqrt(2.0), 1, side, s));
    const Tensor inverse = (s.square().sum(1, /*keepdim=*/true) + tiny).rsqrt_();
    const Tensor unit = s.mul_(inverse);
    context->save_for_backward({positions, unit, inverse});
    context->saved_data["eps"] = eps;
    return unit;
  }

  // dL/ds of unit = s r, r = 1 / |s|; then ds/dv; then (G + G^T) F / L with G of the triangle.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &positions = saved[0], &unit = saved[1], &inverse = saved[2], &grad = gradients[0];
    const int64_t count = positions.size(1), side = positions.size(2);
    const double eps = context->saved_data["eps"].toDouble();
    const Tensor along = (unit * grad).sum(1, /*keepdim=*/true);
    Tensor to_v = (grad - unit * along).mul_(inverse);
    // sqrt(|v| + eps) = |s| / scale + sqrt(eps); a pair of two channels stands twice in G + G^T, and one
    // with itself counts twice.
    const double off = std::sqrt(2.0);
    const Tensor root =
        (unit.abs() / inverse).mul_(by_pair(1 / off, 1, side, unit)).add_(std::sqrt(eps));
    to_v.mul_(by_pair(off / 2, 1, side, unit)).div_(root);
    return {at::bmm(positions, symmetric_of(to_v, side)).div_(static_cast<double>(count)), {}};
  }
};

struct Triangle : torch::autograd::Function<Triangle> {
  static Tensor forward(AutogradContext* context, const Tensor& matrices) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    context->saved_data["side"] = matrices.size(1);
    return triangle_of(matrices);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {symmetric_of(gradients[0], context->saved_data["side"].toInt()).triu()};
  }
};

}  // namespace

Tensor bilinear_pooling(const Tensor& features, double eps) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  return BilinearPooling::apply(positions_of(features), eps);
}

Tensor isqrt_pooling(const Tensor& features) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const Tensor x = positions_of(features);
  const Tensor centred = x - x.mean(1, /*keepdim=*/true);
  const Tensor covariance =
      at::bmm(centred.transpose(1, 2), centred) / static_cast<double>(x.size(1));
  const Tensor trace = covariance.diagonal(0, 1, 2).sum(1).view({-1, 1, 1}) + tiny;
  const Tensor one = at::eye(x.size(2), x.options());
  Tensor y = covariance / trace, z = one.expand_as(y);
  for (int step = 0; step < newton_schulz_steps; ++step) {
    const Tensor t = (3 * one - at::bmm(z, y)) / 2;
    y = at::bmm(y, t);
    if (step + 1 < newton_schulz_steps) z = at::bmm(t, z);
  }
  return Triangle::apply(y * trace.sqrt());
}

}  // namespace mcloss
