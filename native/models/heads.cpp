// The heads: torchvision | linear | two-layer.
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/adaptive_max_pool2d.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include "models/head.h"
#include "models/last_layer.h"
#include "models/layers.h"
#include "models/registry.h"
#include "ops/half_dropout.h"

namespace mcloss {
namespace {

at::Tensor global_average(const at::Tensor& x) { return x.mean(at::IntArrayRef{2, 3}); }

// Zeroes each value with probability 1/2 and doubles the rest. x: [N, D]; layer: which dropout of
// the network this is.
at::Tensor half_dropout(const at::Tensor& x, const DropoutDraw& dropout, int64_t layer) {
  const at::Tensor scale =
      half_dropout_scale(dropout.seed_step, x.size(0), x.size(1), dropout.first_sample, layer);
  return x * scale.to(x.scalar_type());
}

// One layer on the mean over positions: torchvision's for ResNets (fc), ours (head.fc).
class LinearHead : public Head {
 public:
  LinearHead(bool torchvision_names, const ModelConfig& config, int64_t channels,
             at::Generator& generator)
      : fc_(std::make_shared<LastLayer>(config.classifier, channels, config.num_classes)) {
    if (torchvision_names) {
      register_module("fc", fc_);
    } else {
      register_module("head", std::make_shared<torch::nn::Module>("Linear"))
          ->register_module("fc", fc_);
    }
    init_linear_uniform(fc_->rows, fc_->bias, generator);
  }
  HeadOutput forward(const at::Tensor& features, const DropoutDraw&) override {
    const at::Tensor x = global_average(features);
    return {x, fc_->forward(x)};
  }

 private:
  std::shared_ptr<LastLayer> fc_;
};

// torchvision's VGG classifier: the backbone's last pool, average pool to 7x7, three layers with
// dropout between them.
class VggHead : public Head {
 public:
  static constexpr int64_t hidden = 4096;

  VggHead(const ModelConfig& config, int64_t channels, at::Generator& generator) {
    const auto classifier =
        register_module("classifier", std::make_shared<torch::nn::Module>("Classifier"));
    const auto add = [&](const char* name, int64_t in) {
      const auto layer = classifier->register_module(name, std::make_shared<Linear>(in, hidden));
      init_linear_normal(layer->weight, layer->bias, generator);
      return layer;
    };
    fc1_ = add("0", channels * 7 * 7);
    fc2_ = add("3", hidden);
    fc3_ = classifier->register_module(
        "6", std::make_shared<LastLayer>(config.classifier, hidden, config.num_classes));
    init_linear_normal(fc3_->rows, fc3_->bias, generator);
  }

  HeadOutput forward(const at::Tensor& features, const DropoutDraw& dropout) override {
    at::Tensor x = at::adaptive_avg_pool2d(at::max_pool2d(features, 2), {7, 7}).flatten(1);
    x = at::relu(fc1_->forward(x));
    if (is_training()) x = half_dropout(x, dropout, 0);
    x = at::relu(fc2_->forward(x));
    if (is_training()) x = half_dropout(x, dropout, 1);
    return {x, fc3_->forward(x)};
  }

 private:
  std::shared_ptr<Linear> fc1_, fc2_;
  std::shared_ptr<LastLayer> fc3_;
};

// features: [N, C, H, W] -> [N, C, cells, cells]. Both operators give the same bits, and the gradient to
// one position of a tie, where amax would split it. On a GPU the adaptive one copies a channels-last map;
// on the CPU the other one is slow backwards.
at::Tensor cell_maxima(const at::Tensor& features, int64_t cells) {
  const int64_t height = features.size(2), width = features.size(3);
  if (features.is_cuda() && height % cells == 0 && width % cells == 0) {
    return at::max_pool2d(features, {height / cells, width / cells});
  }
  return std::get<0>(at::adaptive_max_pool2d(features, {cells, cells}));
}

// The authors' head: max-pool (to pool x pool positions), BN, linear, BN, ELU, last layer.
class TwoLayerHead : public Head {
 public:
  TwoLayerHead(const ModelConfig& config, int64_t channels, at::Generator& generator)
      : pool_(backbone_row(config.backbone).pool) {
    const int64_t in = channels * pool_ * pool_, hidden = backbone_row(config.backbone).hidden;
    const auto head = register_module("head", std::make_shared<torch::nn::Module>("TwoLayer"));
    norm1_ = head->register_module("norm1", std::make_shared<BatchNorm>(in, config.impl));
    fc1_ = head->register_module("fc1", std::make_shared<Linear>(in, hidden));
    norm2_ = head->register_module("norm2", std::make_shared<BatchNorm>(hidden, config.impl));
    fc2_ = head->register_module(
        "fc2", std::make_shared<LastLayer>(config.classifier, hidden, config.num_classes));
    init_linear_uniform(fc1_->weight, fc1_->bias, generator);
    init_linear_uniform(fc2_->rows, fc2_->bias, generator);
  }

  HeadOutput forward(const at::Tensor& features, const DropoutDraw&) override {
    const at::Tensor pooled = cell_maxima(features, pool_).flatten(1);
    const at::Tensor x = at::elu(norm2_->forward(fc1_->forward(norm1_->forward(pooled))));
    return {x, fc2_->forward(x)};
  }

 private:
  const int64_t pool_;
  std::shared_ptr<BatchNorm> norm1_, norm2_;
  std::shared_ptr<Linear> fc1_;
  std::shared_ptr<LastLayer> fc2_;
};

}  // namespace

std::shared_ptr<Head> make_linear_head(const ModelConfig& config, const MapShape& map,
                                       at::Generator& generator) {
  return std::make_shared<LinearHead>(false, config, map.channels, generator);
}

int64_t linear_head_width(const ModelConfig&, const MapShape& map) { return map.channels; }

std::shared_ptr<Head> make_two_layer_head(const ModelConfig& config, const MapShape& map,
                                          at::Generator& generator) {
  return std::make_shared<TwoLayerHead>(config, map.channels, generator);
}

int64_t two_layer_head_width(const ModelConfig& config, const MapShape&) {
  return backbone_row(config.backbone).hidden;
}

std::shared_ptr<Head> make_torchvision_head(const ModelConfig& config, const MapShape& map,
                                            at::Generator& generator) {
  if (backbone_row(config.backbone).torchvision == TorchvisionHead::classifier) {
    return std::make_shared<VggHead>(config, map.channels, generator);
  }
  return std::make_shared<LinearHead>(true, config, map.channels, generator);
}

int64_t torchvision_head_width(const ModelConfig& config, const MapShape& map) {
  const TorchvisionHead head = backbone_row(config.backbone).torchvision;
  if (head == TorchvisionHead::fc) return map.channels;
  if (head == TorchvisionHead::none || config.channels_per_class > 0) {
    throw Error("E_CONFIG", "model: torchvision has no head for " + config.backbone +
                                (config.channels_per_class > 0 ? " with channelsPerClass" : "") +
                                "; choose head linear or two-layer.");
  }
  if (map.height < 2 || map.width < 2) {
    throw Error("E_ARGUMENT",
                "model " + config.backbone +
                    ": torchvision's head pools the feature map once more and needs at least 2x2 "
                    "positions, this input leaves " +
                    std::to_string(map.height) + "x" + std::to_string(map.width) +
                    "; use a larger crop.");
  }
  return VggHead::hidden;
}

bool is_head_name(const std::string& name) {
  return name.starts_with("head.") || name.starts_with("fc.") || name.starts_with("classifier.");
}

}  // namespace mcloss
