// What a classifier needs of a convolutional backbone. Parameter names equal torchvision's.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "types.h"

namespace mcloss {

struct MapShape {
  int64_t channels, height, width;
};

class Backbone : public torch::nn::Module {
 public:
  // x: [N, 3, h, w] -> the last convolution's output after its ReLU, before any pooling: the
  // feature map of the MC-Loss, [N, C, H, W].
  virtual at::Tensor forward(const at::Tensor& x) = 0;
};

}  // namespace mcloss
