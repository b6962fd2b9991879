// The plain stacks of 3x3 convolutions, ReLUs and 2x2 max-pools: VGG-16 and VGG-16-BN (Simonyan &
// Zisserman, 2015), the small ones of our own (vgg-small: the demo's; toy: the tests'). Parameters
// are features.N.* as torchvision counts them: convolution, batch norm, ReLU and pool each take one
// number. The last ReLU is the end; torchvision's last pool belongs to its head here. vgg-small
// exists only widened.
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/layers.h"

namespace mcloss {
namespace {

constexpr int64_t pool = 0;  // in a list of widths: a 2x2 max-pool

struct VggPlan {
  std::vector<int64_t> widths;
  bool batch_norm, conv_bias;
};

VggPlan vgg_plan(const ModelConfig& config) {
  const std::string& name = config.backbone;
  const bool widened = config.channels_per_class > 0;
  const int64_t channels = config.num_classes * config.channels_per_class;
  if (name == "toy") {
    return {{8, pool, 16, pool, widened ? channels : 32}, true, false};
  }
  if (name == "vgg-small") {
    if (!widened) {
      throw Error("E_CONFIG",
                  "model vgg-small: expected channelsPerClass >= 1, received 0. It has no width of "
                  "its own; set model.channelsPerClass (3 in the paper)");
    }
    return {{16, pool, 32, pool, 64, 64, pool, 96, channels}, true, false};
  }
  // Widened, the last block's first and last convolution keep their places and there is one pool
  // less: ... 512 512 C pool 512 512 C.
  const int64_t last = widened ? channels : 512;
  VggPlan plan{{64, 64, pool, 128, 128, pool, 256, 256, 256, pool, 512, 512, last}, false, true};
  plan.widths.insert(plan.widths.end(), {pool, 512, 512, last});
  plan.batch_norm = name == "vgg16_bn";
  return plan;
}

struct ConvLayer {
  std::shared_ptr<Conv2d> conv;
  std::shared_ptr<BatchNorm> norm;  // null: none
  bool pool_after;
};

class Vgg : public Backbone {
 public:
  Vgg(const VggPlan& plan, Impl impl, at::Generator& generator) {
    const auto features =
        register_module("features", std::make_shared<torch::nn::Module>("Features"));
    int64_t in = 3, number = 0;
    for (const int64_t width : plan.widths) {
      if (width == pool) {
        layers_.back().pool_after = true;
        number += 1;
        continue;
      }
      ConvLayer layer{};
      const ConvOptions options{in, width, 3, /*stride=*/1, /*padding=*/1, plan.conv_bias};
      layer.conv = features->register_module(std::to_string(number++),
                                             std::make_shared<Conv2d>(options, impl));
      init_conv(*layer.conv, generator);
      if (plan.batch_norm) {
        layer.norm = features->register_module(std::to_string(number++),
                                               std::make_shared<BatchNorm>(width, impl));
      }
      number += 1;  // the ReLU
      layers_.push_back(layer);
      in = width;
    }
  }

  at::Tensor forward(const at::Tensor& x) override {
    at::Tensor y = x;
    for (const ConvLayer& layer : layers_) {
      y = layer.conv->forward(y);
      y = layer.norm ? layer.norm->forward(y, /*relu=*/true) : at::relu_(y);
      if (layer.pool_after) y = at::max_pool2d(y, /*kernel_size=*/2);
    }
    return y;
  }

 private:
  std::vector<ConvLayer> layers_;
};

}  // namespace

std::shared_ptr<Backbone> make_vgg(const ModelConfig& config, at::Generator& generator) {
  return std::make_shared<Vgg>(vgg_plan(config), config.impl, generator);
}

MapShape vgg_map_shape(const ModelConfig& config) {
  const VggPlan plan = vgg_plan(config);
  MapShape shape{plan.widths.back(), config.input_height, config.input_width};
  for (const int64_t width : plan.widths) {
    if (width != pool) continue;
    shape.height /= 2;
    shape.width /= 2;
  }
  return shape;
}

}  // namespace mcloss
