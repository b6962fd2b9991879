// What winograd_conv takes, and the tensors that it gives.
#pragma once

#include "ops/operator.h"

namespace mcloss {

// Throw E_ARGUMENT unless winograd_conv, or its derivative, takes the arguments.
void check_winograd_conv(const at::Tensor& x, const at::Tensor& weight, const MaybeTensor& bias);
void check_winograd_conv_backward(const at::Tensor& grad, const at::Tensor& x,
                                  const at::Tensor& weight);

// The result and a gradient like `values`, not yet written: channels_last both.
at::Tensor empty_winograd_conv(const at::Tensor& x, const at::Tensor& weight);
at::Tensor empty_winograd_grad(const at::Tensor& values);

}  // namespace mcloss
