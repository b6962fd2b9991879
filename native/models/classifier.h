// A backbone and a head, by name: the only registry of models.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "models/backbone.h"
#include "models/head.h"

namespace mcloss {

struct ClassifierOutput {
  at::Tensor features;  // [N, C, H, W]
  at::Tensor logits;    // [N, K]
};

class Classifier {
 public:
  // Builds on the CPU with initial weights from `init_seed`. Throws E_CONFIG for an unknown name or a
  // pair that does not exist, E_ARGUMENT for sizes that cannot be.
  Classifier(const ModelConfig& config, uint64_t init_seed);

  // dropout: the step's seed, step and first sample, for heads with dropout; unused in evaluation.
  ClassifierOutput forward(const at::Tensor& input, const DropoutDraw& dropout);

  void train(bool on);
  void to(at::Device device, bool channels_last);

  // Names are unique over backbone and head and equal torchvision's where torchvision has them.
  NamedTensors backbone_parameters() const;
  NamedTensors head_parameters() const;
  NamedTensors buffers() const;  // running_mean, running_var, num_batches_tracked

  // Copies `weights` in. Throws E_WEIGHTS listing every missing, unexpected and mis-shaped name.
  void load(const NamedTensors& weights, const std::string& source);
  NamedTensors state() const;  // parameters then buffers

 private:
  std::shared_ptr<Backbone> backbone_;
  std::shared_ptr<Head> head_;
};

// The feature map's shape for a configuration, without building it. Throws as the constructor does.
MapShape map_shape(const ModelConfig& config);

}  // namespace mcloss
