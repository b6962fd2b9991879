// The heads, by name: torchvision | linear | two-layer (docs/mc-loss.md, "Heads").
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

class Head : public torch::nn::Module {
 public:
  // features: [N, C, H, W] -> logits [N, K].
  virtual at::Tensor forward(const at::Tensor& features, const DropoutDraw& dropout) = 0;
};

// map: the shape of the features `config` gives. Throws E_CONFIG for an unknown name, or a
// torchvision head on a backbone torchvision does not have.
std::shared_ptr<Head> make_head(const ModelConfig& config, const MapShape& map,
                                at::Generator& generator);

// Whether a parameter or buffer of that name belongs to one of the heads.
bool is_head_name(const std::string& name);

}  // namespace mcloss
