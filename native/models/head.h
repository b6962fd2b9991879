// The three heads: feature map -> logits. DESIGN: torchvision | linear | two-layer.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>

namespace mcloss {

// Where a dropout mask comes from: Philox (ops/philox.h, Stream::dropout), so that it is the same for
// any micro-batch split and on any device.
struct DropoutDraw {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t first_sample = 0;  // the position of sample 0 in the whole batch
};

class Head : public torch::nn::Module {
 public:
  // features: [N, C, H, W] -> logits [N, K].
  virtual at::Tensor forward(const at::Tensor& features, const DropoutDraw& dropout) = 0;
};

}  // namespace mcloss
