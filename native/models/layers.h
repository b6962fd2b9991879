// The three layers with parameters, named and laid out as PyTorch's. A layer's parameters are
// created uninitialised; the network that owns it fills them once with the functions below.
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/module.h>

#include <string>

#include "models/weight_casts.h"
#include "types.h"

namespace mcloss {

struct ConvOptions {
  int64_t in, out, kernel;
  int64_t stride = 1, padding = 0;
  bool bias = false;
};

// Impl::fused computes 3x3 layers of stride 1 and padding 1 by winograd_conv: on the CPU, in float32 and
// float64 (not under autocast) and channels_last, with 16 channels and more. All else is LibTorch's
// conv2d, and so is Impl::reference.
class Conv2d : public CastLayer {
 public:
  Conv2d(const ConvOptions& options, Impl impl);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in, kernel, kernel]
  at::Tensor bias;    // [out], or undefined

 private:
  int64_t stride_, padding_;
  bool winograd_;  // whether the layer is one for winograd_conv
};

// Over the channels of [N, C, H, W] or [N, C], with what follows it: [relu](bn(x) + [residual]);
// momentum 0.1, eps 1e-5. Its parameters start as 1 and 0, its running statistics as mean 0 and
// variance 1. Impl::reference is LibTorch's batch_norm, add_ and relu_.
class BatchNorm : public torch::nn::Module {
 public:
  BatchNorm(int64_t channels, Impl impl);
  // In training mode throws E_ARGUMENT for a single value per channel: its variance says nothing.
  at::Tensor forward(const at::Tensor& x, bool relu = false, const at::Tensor& residual = {});

  at::Tensor weight, bias, running_mean, running_var;  // [C]
  // Scalar int64. Counted for all layers at once (train/step/running_buffers.h).
  at::Tensor num_batches_tracked;

 private:
  Impl impl_;
};

class Linear : public CastLayer {
 public:
  Linear(int64_t in, int64_t out);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
};

// A generator of its own, so that LibTorch's global one is neither read nor moved.
at::Generator init_generator(uint64_t seed);

// Normal(0, sqrt(2 / (out * kernel^2))), bias 0: torchvision's for convolutions before a ReLU
// ("kaiming normal, fan out").
void init_conv(Conv2d& conv, at::Generator& generator);
// Uniform(-b, b), b = 1 / sqrt(in), for weight and bias: PyTorch's default. The bias may be undefined.
void init_linear_uniform(const at::Tensor& weight, const at::Tensor& bias,
                         at::Generator& generator);
// Normal(0, 0.01), bias 0: torchvision's for the VGG classifier.
void init_linear_normal(const at::Tensor& weight, const at::Tensor& bias, at::Generator& generator);

}  // namespace mcloss
