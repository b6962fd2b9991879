// A loss: an nn::Module, one file each. To add one: its file with a make_ function, its row in
// losses/registry.cpp, its line in CMakeLists.txt and its options in lib/config (CONTRIBUTING.md).
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "losses/options.h"
#include "types.h"

namespace mcloss {

struct LossInput {
  at::Tensor features;       // [N, C, H, W]
  at::Tensor embedding;      // [N, D], the input of the last layer (models/last_layer.h)
  at::Tensor logits;         // [N, K] float32, without a margin
  at::Tensor target;         // [N] int64
  at::Tensor scalar;         // StepArgs::scalar: a float on the device, new in every step
  at::Tensor seed_step;      // ops/seed_step.h
  int64_t first_sample = 0;  // the position of sample 0 in the whole batch
  at::Tensor class_weights;  // [K] float32, or undefined: of cross entropy (cross_entropy.h)
};

struct LossOutput {
  at::Tensor loss;  // scalar, mean over N; backward starts here
  std::vector<std::pair<std::string, at::Tensor>> parts;  // scalars by name: ce, dis, div
  at::Tensor buffer_sums = {};  // flat, for update_buffers; undefined where there is none
  at::Tensor logits = {};       // with the margin; undefined where there is none
};

// Parameters are optimised at the head's learning rate. Parameters and buffers are saved and resumed
// under loss.<name>.
class Loss : public torch::nn::Module {
 public:
  virtual LossOutput forward(const LossInput& input) = 0;

  // Once a step, where forward gives buffer_sums: their sum over the whole batch. The caller undoes
  // it where the step is skipped.
  virtual void update_buffers(const at::Tensor& /*sums*/) {}
};

// The mean of a term [N] or [N, 1] of each sample, times the weight of its label's class.
at::Tensor weighted_mean(const at::Tensor& terms, const LossInput& input);

// What a loss is made for.
struct LossContext {
  const ModelConfig& model;
  int64_t map_channels, map_positions;  // C and H * W of the features
  int64_t embedding_width;              // D
};

// The function that a loss's file defines for its row. Throws E_ARGUMENT for an option that cannot be,
// E_CONFIG for a model that the loss does not go with.
using MakeLoss = std::shared_ptr<Loss>(LossOptions& options, const LossContext& context);

// Throws E_CONFIG unless the model's last layer is the one that the loss needs.
void require_classifier(const LossContext& context, const std::string& loss,
                        const ClassifierConfig& needed);

// TrainerConfig::class_weights for LossInput: on the device; undefined where there are none. Throws
// E_ARGUMENT for another number of them than there are classes.
at::Tensor class_weights_of(const TrainerConfig& config, at::Device device);

// Throws E_CONFIG for an unknown name, and as MakeLoss.
std::shared_ptr<Loss> make_loss(const LossConfig& config, const LossContext& context);

}  // namespace mcloss
