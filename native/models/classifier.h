// A backbone and a head, as a configuration names them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/weights.h"
#include "models/backbone.h"
#include "models/head.h"
#include "models/weight_casts.h"
#include "types.h"

namespace mcloss {

struct ClassifierOutput {
  at::Tensor features;   // [N, C, H, W]
  at::Tensor embedding;  // [N, D], the input of the last layer
  at::Tensor logits;     // [N, K]
};

struct Match {
  std::vector<std::pair<at::Tensor, const StoredTensor*>> pairs;  // of the model, of the file
  Taken names;
};

class Classifier {
 public:
  // Builds on the CPU with initial weights from `init_seed`. Throws E_CONFIG for an unknown name or
  // a pair that does not exist, E_ARGUMENT for sizes that cannot be.
  Classifier(const ModelConfig& config, uint64_t init_seed);

  // input: float [N, 3, h, w].
  ClassifierOutput forward(const at::Tensor& input, const DropoutDraw& dropout);

  // on: batch norm takes the statistics of the batch and moves the running ones, except in a backbone
  // that is frozen or whose batch norm is (ModelConfig); dropout drops.
  void train(bool on);
  // A frozen backbone has no gradients.
  void freeze_backbone(bool frozen) { frozen_ = frozen; }
  // Whether batch norm in the backbone takes the statistics of the batch.
  bool backbone_norm_trains() const { return backbone_->is_training(); }
  void to(at::Device device, bool channels_last);

  // Names are unique over backbone and head and equal torchvision's where torchvision has them.
  NamedTensors backbone_parameters() const;
  NamedTensors head_parameters() const;
  // running_mean, running_var, num_batches_tracked
  NamedTensors backbone_buffers() const;
  NamedTensors head_buffers() const;
  NamedTensors state() const;  // parameters and buffers, all of the above

  // The layers whose parameters autocast would cast.
  std::vector<std::shared_ptr<CastLayer>> cast_layers() const;

  // The tensors of the model with those of `file` that they take, by name; no byte is read. Throws
  // E_WEIGHTS listing every missing, unexpected and mis-shaped name, unless options.partial and
  // something is taken.
  Match match(const WeightFile& file, const TakeOptions& options) const;
  static void load(const WeightFile& file, const Match& match);

 private:
  std::shared_ptr<Backbone> backbone_;
  std::shared_ptr<Head> head_;
  const bool freeze_batch_norm_;
  bool frozen_ = false;
};

// The feature map's shape and the width D of the embedding for a configuration, without building it.
// Both throw as the constructor.
MapShape map_shape(const ModelConfig& config);
int64_t embedding_width(const ModelConfig& config);

}  // namespace mcloss
