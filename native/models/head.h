// A head turns the feature map into logits; its last layer is a LastLayer (docs/mc-loss.md, "Heads").
#pragma once

#include <ATen/core/Generator.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>

#include "models/backbone.h"
#include "types.h"

namespace mcloss {

// Where a dropout mask comes from (ops/half_dropout.h); not looked at outside training.
struct DropoutDraw {
  at::Tensor seed_step;      // ops/seed_step.h
  int64_t first_sample = 0;  // the position of sample 0 in the whole batch
};

struct HeadOutput {
  at::Tensor embedding;  // [N, D], the input of the last layer
  at::Tensor logits;     // [N, K]
};

class Head : public torch::nn::Module {
 public:
  // features: [N, C, H, W].
  virtual HeadOutput forward(const at::Tensor& features, const DropoutDraw& dropout) = 0;
};

// The two functions that a head's file defines for its row in models/registry.cpp. map: the shape of
// the features that `config` gives. The second gives D without building anything; it throws
// E_CONFIG for a backbone that the head does not go with, E_ARGUMENT for a map too small for it.
using MakeHead = std::shared_ptr<Head>(const ModelConfig& config, const MapShape& map,
                                       at::Generator& generator);
using EmbeddingWidth = int64_t(const ModelConfig& config, const MapShape& map);

// Whether a parameter or buffer of that name belongs to one of the heads.
bool is_head_name(const std::string& name);

}  // namespace mcloss
