// What a classifier needs of a convolutional backbone. Parameter names equal torchvision's.
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/module.h>

#include <memory>

#include "types.h"

namespace mcloss {

struct MapShape {
  int64_t channels, height, width;
};

class Backbone : public torch::nn::Module {
 public:
  // x: [N, 3, h, w] -> the last convolution's output after its ReLU, before any pooling: the
  // feature map of the MC-Loss, [N, C, H, W]. Only batch norm looks at the training mode.
  virtual at::Tensor forward(const at::Tensor& x) = 0;
};

// The two functions that a backbone's file defines for its rows in models/registry.cpp.
using MakeBackbone = std::shared_ptr<Backbone>(const ModelConfig& config, at::Generator& generator);
using MapShapeOf = MapShape(const ModelConfig& config);

}  // namespace mcloss
