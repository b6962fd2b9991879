// A loss: an nn::Module. None has parameters yet: the trainer neither optimises nor saves any. One
// file a loss; make_loss is the registry.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "types.h"

namespace mcloss {

struct LossInput {
  at::Tensor features;       // [N, C, H, W]
  at::Tensor logits;         // [N, K]
  at::Tensor target;         // [N] int64
  at::Tensor seed_step;      // ops/seed_step.h
  int64_t first_sample = 0;  // the position of sample 0 in the whole batch
};

struct LossOutput {
  at::Tensor loss;  // scalar, mean over N; backward starts here
  std::vector<std::pair<std::string, at::Tensor>> parts;  // scalars by name: ce, dis, div
};

class Loss : public torch::nn::Module {
 public:
  virtual LossOutput forward(const LossInput& input) = 0;
};

// Throws E_CONFIG for an unknown name.
std::shared_ptr<Loss> make_loss(const LossConfig& config, int64_t num_classes);

}  // namespace mcloss
