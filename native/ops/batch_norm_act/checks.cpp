#include "ops/batch_norm_act/checks.h"

#include <ATen/ops/empty.h>

#include <cmath>

namespace mcloss {
namespace {

constexpr const char* kWho = "batch_norm_act";

void check_per_channel(const MaybeTensor& values, const char* name, const at::Tensor& x) {
  if (!values) return;
  const at::ScalarType dtype = accumulate_type(x.scalar_type());
  if (values->scalar_type() == dtype && values->sizes() == at::IntArrayRef{x.size(1)} &&
      values->device() == x.device()) {
    return;
  }
  refuse(kWho, c10::str(name, " ", dtype, " [C] for x ", describe(x)), describe(*values));
}

}  // namespace

void check_bn_x(const at::Tensor& x) {
  if (!is_floating(x.scalar_type())) {
    refuse(kWho, "x of float64, float32, bfloat16 or float16", describe(x));
  }
  if ((x.dim() != 4 && x.dim() != 2) || x.numel() == 0) {
    refuse(kWho, "x [N, C, H, W] or [N, C] with at least one value", describe(x));
  }
}

void check_bn_sums(const at::Tensor& sums, const at::Tensor& x) {
  if (sums.scalar_type() == at::kDouble && sums.sizes() == at::IntArrayRef{3, x.size(1)} &&
      sums.is_contiguous() && sums.device() == x.device()) {
    return;
  }
  refuse(kWho, c10::str("contiguous sums Double [3, C] for x ", describe(x)), describe(sums),
         "Give what batch_norm_act_sums or batch_norm_act_backward_sums returned, merged.");
}

void check_bn_arguments(const BnArguments& arguments) {
  const auto& [x, residual, weight, bias, running_mean, running_var, training, momentum, eps,
               relu] = arguments;
  check_bn_x(x);
  if (residual && (residual->scalar_type() != x.scalar_type() || residual->sizes() != x.sizes() ||
                   residual->device() != x.device())) {
    refuse(kWho, c10::str("a residual like x ", describe(x)), describe(*residual));
  }
  check_per_channel(weight, "weight", x);
  check_per_channel(bias, "bias", x);
  check_per_channel(running_mean, "running_mean", x);
  check_per_channel(running_var, "running_var", x);
  if (running_mean.has_value() != running_var.has_value()) {
    refuse(kWho, "running_mean and running_var, or neither", "one of them");
  }
  if (running_mean && !(running_mean->is_contiguous() && running_var->is_contiguous())) {
    refuse(kWho, "contiguous running statistics", "strided ones");
  }
  if (!training && !running_mean) {
    refuse(kWho, "running statistics where training is false", "none");
  }
  if (!std::isfinite(momentum) || !(eps >= 0)) {
    refuse(kWho, "a finite momentum and eps >= 0", c10::str(momentum, " and ", eps));
  }
}

void check_batch_norm_act(const BnArguments& arguments) {
  check_bn_arguments(arguments);
  const at::Tensor& x = arguments.x;
  if (arguments.training && x.numel() == x.size(1)) {
    refuse(kWho, "more than one value per channel in training", c10::str("x ", describe(x)),
           "Use a larger batch.");
  }
}

void bn_running_moved(const BnArguments& arguments) {
  for (const MaybeTensor* moved : {&arguments.running_mean, &arguments.running_var}) {
    if (*moved) (*moved)->unsafeGetTensorImpl()->bump_version();
  }
}

at::Tensor bn_laid_out(const at::Tensor& x) {
  if (x.is_contiguous()) return x;
  return x.contiguous(x.suggest_memory_format());
}

at::Tensor bn_laid_out_as(const at::Tensor& x, const at::Tensor& other) {
  return other.contiguous(x.is_contiguous() ? at::MemoryFormat::Contiguous
                                            : at::MemoryFormat::ChannelsLast);
}

MaybeTensor bn_laid_out_as(const at::Tensor& x, const MaybeTensor& other) {
  return other ? MaybeTensor(bn_laid_out_as(x, *other)) : std::nullopt;
}

BnLayout::BnLayout(const at::Tensor& x)
    : samples(x.size(0)),
      channels(x.size(1)),
      positions(x.numel() / (samples * channels)),
      by_rows(!x.is_contiguous() || positions == 1) {}

namespace {

at::Tensor empty_rows(int64_t rows, const at::Tensor& x) {
  return at::empty({rows, x.size(1)},
                   x.options().dtype(at::kDouble).memory_format(at::MemoryFormat::Contiguous));
}

}  // namespace

at::Tensor empty_bn_saved(const at::Tensor& x) { return empty_rows(kBnSaved, x); }
at::Tensor empty_bn_sums(const at::Tensor& x) { return empty_rows(3, x); }

}  // namespace mcloss
