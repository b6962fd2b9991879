#include "ops/batch_norm_act/checks.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <sstream>

namespace mcloss {
namespace {

[[noreturn]] void refuse(const std::string& expected, const std::string& received) {
  throw Error("E_ARGUMENT",
              "batch_norm_act: expected " + expected + " but received " + received + ".");
}

std::string describe(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.scalar_type() << " " << tensor.sizes() << " on " << tensor.device();
  return text.str();
}

void check_per_channel(const at::Tensor& values, const char* name, const at::Tensor& x) {
  if (!values.defined()) return;
  const at::ScalarType dtype = accumulate_type(x.scalar_type());
  if (values.scalar_type() == dtype && values.sizes() == at::IntArrayRef{x.size(1)} &&
      values.device() == x.device()) {
    return;
  }
  refuse(std::string(name) + " " + c10::toString(dtype) + " [C] for x " + describe(x),
         describe(values));
}

}  // namespace

void check_batch_norm_act(const BnArguments& arguments) {
  const auto& [x, residual, weight, bias, running_mean, running_var, training, momentum, eps,
               relu] = arguments;
  const auto dtype = x.scalar_type();
  if (dtype != at::kDouble && dtype != at::kFloat && dtype != at::kBFloat16 && dtype != at::kHalf) {
    refuse("x of float64, float32, bfloat16 or float16", describe(x));
  }
  if ((x.dim() != 4 && x.dim() != 2) || x.numel() == 0) {
    refuse("x [N, C, H, W] or [N, C] with at least one value", describe(x));
  }
  if (residual.defined() && (residual.scalar_type() != dtype || residual.sizes() != x.sizes() ||
                             residual.device() != x.device())) {
    refuse("a residual like x " + describe(x), describe(residual));
  }
  check_per_channel(weight, "weight", x);
  check_per_channel(bias, "bias", x);
  check_per_channel(running_mean, "running_mean", x);
  check_per_channel(running_var, "running_var", x);
  if (running_mean.defined() != running_var.defined()) {
    refuse("running_mean and running_var, or neither", "one of them");
  }
  if (running_mean.defined() && !(running_mean.is_contiguous() && running_var.is_contiguous())) {
    refuse("contiguous running statistics", "strided ones");
  }
  if (!training && !running_mean.defined()) {
    refuse("running statistics where training is false", "none");
  }
  if (training && x.numel() == x.size(1)) {
    refuse("more than one value per channel in training", "x " + describe(x));
  }
  if (!std::isfinite(momentum) || !(eps >= 0)) {
    refuse("a finite momentum and eps >= 0",
           std::to_string(momentum) + " and " + std::to_string(eps));
  }
}

void bn_running_moved(const BnArguments& arguments) {
  for (const at::Tensor* moved : {&arguments.running_mean, &arguments.running_var}) {
    if (moved->defined()) moved->unsafeGetTensorImpl()->bump_version();
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

BnLayout::BnLayout(const at::Tensor& x)
    : samples(x.size(0)),
      channels(x.size(1)),
      positions(x.numel() / (samples * channels)),
      by_rows(!x.is_contiguous() || positions == 1) {}

at::Tensor empty_bn_saved(const at::Tensor& x) {
  return at::empty({kBnSaved, x.size(1)},
                   x.options().dtype(at::kDouble).memory_format(at::MemoryFormat::Contiguous));
}

}  // namespace mcloss
