// The 3x3 convolution with stride 1 and padding 1, as torch.conv2d(x, weight, bias, 1, 1), with 2.25
// times fewer products (winograd_conv/loops.h); on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace mcloss {

// The operator mcloss::winograd_conv: winograd_conv/cpu.cpp. Differentiable once, in x, weight and bias.
// x: [N, in, H, W], f32 or f64; weight: [out, in, 3, 3] and bias: [out] (or undefined) as x. It computes
// with channels in multiples of 16, so few channels are wasteful. -> [N, out, H, W], channels_last. A value
// that is not finite can make all results of the tiles that read it not finite. Throws E_ARGUMENT for
// anything else on the CPU; there are no kernels for other devices.
at::Tensor winograd_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace mcloss
