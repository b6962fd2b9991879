#include "models/layers.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "ops/batch_norm_act.h"
#include "ops/winograd_conv.h"

namespace mcloss {

Conv2d::Conv2d(const ConvOptions& options, Impl impl)
    : stride_(options.stride),
      padding_(options.padding),
      winograd_(impl == Impl::fused && options.kernel == 3 && options.stride == 1 &&
                options.padding == 1 && options.in >= 16 && options.out >= 16) {
  weight = register_parameter("weight",
                              at::empty({options.out, options.in, options.kernel, options.kernel}));
  if (options.bias) bias = register_parameter("bias", at::empty({options.out}));
}

at::Tensor Conv2d::forward(const at::Tensor& x) const {
  const bool wide = x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble;
  if (winograd_ && wide && x.is_cpu() && x.numel() > 0 &&
      x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
      !at::autocast::is_autocast_enabled(at::kCPU)) {
    return winograd_conv(x, weight, bias);
  }
  return at::conv2d(x, in_use(weight, 0), in_use(bias, 1), stride_, padding_);
}

BatchNorm::BatchNorm(int64_t channels, Impl impl) : impl_(impl) {
  weight = register_parameter("weight", at::ones({channels}));
  bias = register_parameter("bias", at::zeros({channels}));
  running_mean = register_buffer("running_mean", at::zeros({channels}));
  running_var = register_buffer("running_var", at::ones({channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor BatchNorm::forward(const at::Tensor& x, bool relu, const at::Tensor& residual) {
  if (is_training()) {
    if (x.numel() == x.size(1)) {
      throw Error("E_ARGUMENT",
                  "batch norm: expected more than one value per channel in training, received one "
                  "sample with one value. Use batches (and micro-batches) of at least 2 samples, "
                  "and drop a last batch of 1");
    }
  }
  const BatchNormActOptions options{
      .training = is_training(), .momentum = 0.1, .eps = 1e-5, .relu = relu};
  if (impl_ == Impl::fused) {
    return batch_norm_act(x, residual, weight, bias, running_mean, running_var, options);
  }
  at::Tensor y = at::batch_norm(x, weight, bias, running_mean, running_var, options.training,
                                options.momentum, options.eps, /*cudnn_enabled=*/true);
  if (residual.defined()) y.add_(residual);
  return relu ? at::relu_(y) : y;
}

Linear::Linear(int64_t in, int64_t out) {
  weight = register_parameter("weight", at::empty({out, in}));
  bias = register_parameter("bias", at::empty({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  return at::linear(x, in_use(weight, 0), in_use(bias, 1));
}

at::Generator init_generator(uint64_t seed) {
  return at::make_generator<at::CPUGeneratorImpl>(seed);
}

void init_conv(Conv2d& conv, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  const auto fan_out = static_cast<double>(conv.weight.numel() / conv.weight.size(1));
  conv.weight.normal_(0, std::sqrt(2 / fan_out), generator);
  if (conv.bias.defined()) conv.bias.zero_();
}

void init_linear_uniform(const at::Tensor& weight, const at::Tensor& bias,
                         at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
  weight.uniform_(-bound, bound, generator);
  if (bias.defined()) bias.uniform_(-bound, bound, generator);
}

void init_linear_normal(const at::Tensor& weight, const at::Tensor& bias,
                        at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  weight.normal_(0, 0.01, generator);
  if (bias.defined()) bias.zero_();
}

}  // namespace mcloss
