#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/adaptive_max_pool2d.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include "models/head.h"
#include "models/layers.h"
#include "ops/half_dropout.h"

namespace mcloss {
namespace {

bool is_vgg16(const ModelConfig& config) {
  return config.backbone == "vgg16" || config.backbone == "vgg16_bn";
}

bool is_resnet(const ModelConfig& config) {
  return config.backbone == "resnet18" || config.backbone == "resnet50";
}

at::Tensor global_average(const at::Tensor& x) { return x.mean(at::IntArrayRef{2, 3}); }

// Zeroes each value with probability 1/2 and doubles the rest. x: [N, D]; layer: which dropout of
// the network this is.
at::Tensor half_dropout(const at::Tensor& x, const DropoutDraw& dropout, int64_t layer) {
  const at::Tensor scale =
      half_dropout_scale(dropout.seed_step, x.size(0), x.size(1), dropout.first_sample, layer);
  return x * scale.to(x.scalar_type());
}

// One linear layer on the mean over positions: torchvision's for ResNets (fc), ours (head.fc).
class LinearHead : public Head {
 public:
  LinearHead(bool torchvision_names, int64_t channels, int64_t classes, at::Generator& generator)
      : fc_(std::make_shared<Linear>(channels, classes)) {
    if (torchvision_names) {
      register_module("fc", fc_);
    } else {
      register_module("head", std::make_shared<torch::nn::Module>("Linear"))
          ->register_module("fc", fc_);
    }
    init_linear_uniform(*fc_, generator);
  }
  at::Tensor forward(const at::Tensor& features, const DropoutDraw&) override {
    return fc_->forward(global_average(features));
  }

 private:
  std::shared_ptr<Linear> fc_;
};

// torchvision's VGG classifier: the backbone's last pool, average pool to 7x7, three linear layers
// with dropout between them.
class VggHead : public Head {
 public:
  VggHead(int64_t channels, int64_t classes, at::Generator& generator) {
    const auto classifier =
        register_module("classifier", std::make_shared<torch::nn::Module>("Classifier"));
    const auto add = [&](const char* name, int64_t in, int64_t out) {
      const auto layer = classifier->register_module(name, std::make_shared<Linear>(in, out));
      init_linear_normal(*layer, generator);
      return layer;
    };
    fc1_ = add("0", channels * 7 * 7, hidden);
    fc2_ = add("3", hidden, hidden);
    fc3_ = add("6", hidden, classes);
  }

  at::Tensor forward(const at::Tensor& features, const DropoutDraw& dropout) override {
    at::Tensor x = at::adaptive_avg_pool2d(at::max_pool2d(features, 2), {7, 7}).flatten(1);
    x = at::relu(fc1_->forward(x));
    if (is_training()) x = half_dropout(x, dropout, 0);
    x = at::relu(fc2_->forward(x));
    if (is_training()) x = half_dropout(x, dropout, 1);
    return fc3_->forward(x);
  }

 private:
  static constexpr int64_t hidden = 4096;
  std::shared_ptr<Linear> fc1_, fc2_, fc3_;
};

// The authors' head: max-pool (to pool x pool positions), BN, linear, BN, ELU, linear.
class TwoLayerHead : public Head {
 public:
  TwoLayerHead(int64_t channels, int64_t pool, int64_t hidden, int64_t classes, Impl impl,
               at::Generator& generator)
      : pool_(pool) {
    const auto head = register_module("head", std::make_shared<torch::nn::Module>("TwoLayer"));
    const int64_t in = channels * pool * pool;
    norm1_ = head->register_module("norm1", std::make_shared<BatchNorm>(in, impl));
    fc1_ = head->register_module("fc1", std::make_shared<Linear>(in, hidden));
    norm2_ = head->register_module("norm2", std::make_shared<BatchNorm>(hidden, impl));
    fc2_ = head->register_module("fc2", std::make_shared<Linear>(hidden, classes));
    init_linear_uniform(*fc1_, generator);
    init_linear_uniform(*fc2_, generator);
  }

  at::Tensor forward(const at::Tensor& features, const DropoutDraw&) override {
    // adaptive_max_pool2d sends a gradient to one position of a tie, where amax would split it.
    const at::Tensor pooled =
        std::get<0>(at::adaptive_max_pool2d(features, {pool_, pool_})).flatten(1);
    const at::Tensor x = norm2_->forward(fc1_->forward(norm1_->forward(pooled)));
    return fc2_->forward(at::elu(x));
  }

 private:
  int64_t pool_;
  std::shared_ptr<BatchNorm> norm1_, norm2_;
  std::shared_ptr<Linear> fc1_, fc2_;
};

int64_t hidden_width(const ModelConfig& config) {
  if (config.backbone == "toy") return 32;
  return config.backbone == "vgg-small" ? 128 : 512;
}

}  // namespace

std::shared_ptr<Head> make_head(const ModelConfig& config, const MapShape& map,
                                at::Generator& generator) {
  const int64_t classes = config.num_classes;
  if (config.head == "two-layer") {
    return std::make_shared<TwoLayerHead>(map.channels, is_vgg16(config) ? 7 : 1,
                                          hidden_width(config), classes, config.impl, generator);
  }
  if (config.head == "linear") {
    return std::make_shared<LinearHead>(false, map.channels, classes, generator);
  }
  if (config.head != "torchvision") {
    throw Error("E_CONFIG", "model: expected head torchvision, linear or two-layer but received '" +
                                config.head + "'.");
  }
  const bool has_form = is_resnet(config) || (is_vgg16(config) && config.channels_per_class == 0);
  if (!has_form) {
    throw Error("E_CONFIG", "model: torchvision has no head for " + config.backbone +
                                (config.channels_per_class > 0 ? " with channelsPerClass" : "") +
                                "; choose head linear or two-layer.");
  }
  if (is_vgg16(config)) return std::make_shared<VggHead>(map.channels, classes, generator);
  return std::make_shared<LinearHead>(true, map.channels, classes, generator);
}

bool is_head_name(const std::string& name) {
  return name.starts_with("head.") || name.starts_with("fc.") || name.starts_with("classifier.");
}

}  // namespace mcloss
