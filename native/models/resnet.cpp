// ResNet-18 and ResNet-50 (He et al., CVPR 2016), stride in the 3x3 convolution as torchvision's.
// Widened (channels_per_class = xi > 0): layer4 puts out num_classes * xi channels at stride 1, so
// the map keeps layer3's size; the inner width of ResNet-50's layer4 is then ceil(C / 4).
#include <ATen/ops/max_pool2d.h>

#include <array>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/layers.h"

namespace mcloss {
namespace {

struct StagePlan {
  int64_t inner, out, blocks, stride;
};

struct ResnetPlan {
  bool bottleneck;
  std::array<StagePlan, 4> stages;
};

ResnetPlan resnet_plan(const ModelConfig& config) {
  const bool bottleneck = config.backbone == "resnet50";
  const std::array<int64_t, 4> blocks =
      bottleneck ? std::array<int64_t, 4>{3, 4, 6, 3} : std::array<int64_t, 4>{2, 2, 2, 2};
  ResnetPlan plan{bottleneck, {}};
  for (size_t i = 0; i < 4; ++i) {
    const int64_t inner = int64_t{64} << i;
    plan.stages[i] = {inner, bottleneck ? inner * 4 : inner, blocks[i], i == 0 ? 1 : 2};
  }
  if (config.channels_per_class > 0) {
    const int64_t channels = config.num_classes * config.channels_per_class;
    plan.stages[3] = {bottleneck ? (channels + 3) / 4 : channels, channels, blocks[3], 1};
  }
  return plan;
}

// One residual block: out = relu(f(x) + shortcut(x)). f is conv3x3-conv3x3 (basic) or
// conv1x1-conv3x3-conv1x1 (bottleneck), each with batch norm, a ReLU between them.
class Block : public torch::nn::Module {
 public:
  Block(bool bottleneck, int64_t in, const StagePlan& stage, int64_t stride, Impl impl,
        at::Generator& generator)
      : impl_(impl) {
    if (bottleneck) {
      add({in, stage.inner, 1}, generator);
      add({stage.inner, stage.inner, 3, stride, 1}, generator);
      add({stage.inner, stage.out, 1}, generator);
    } else {
      add({in, stage.inner, 3, stride, 1}, generator);
      add({stage.inner, stage.out, 3, 1, 1}, generator);
    }
    if (stride != 1 || in != stage.out) {
      const auto downsample =
          register_module("downsample", std::make_shared<torch::nn::Module>("Downsample"));
      shortcut_conv_ = downsample->register_module(
          "0", std::make_shared<Conv2d>(ConvOptions{in, stage.out, 1, stride}, impl));
      shortcut_norm_ =
          downsample->register_module("1", std::make_shared<BatchNorm>(stage.out, impl));
      init_conv(*shortcut_conv_, generator);
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = convs_[0]->forward(x);
    for (size_t i = 1; i < convs_.size(); ++i) {
      y = convs_[i]->forward(norms_[i - 1]->forward(y, /*relu=*/true));
    }
    return norms_.back()->forward(
        y, /*relu=*/true, shortcut_conv_ ? shortcut_norm_->forward(shortcut_conv_->forward(x)) : x);
  }

 private:
  void add(const ConvOptions& options, at::Generator& generator) {
    const std::string number = std::to_string(convs_.size() + 1);
    convs_.push_back(register_module("conv" + number, std::make_shared<Conv2d>(options, impl_)));
    norms_.push_back(
        register_module("bn" + number, std::make_shared<BatchNorm>(options.out, impl_)));
    init_conv(*convs_.back(), generator);
  }

  const Impl impl_;
  std::vector<std::shared_ptr<Conv2d>> convs_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;
  std::shared_ptr<Conv2d> shortcut_conv_;  // null: the identity
  std::shared_ptr<BatchNorm> shortcut_norm_;
};

class Resnet : public Backbone {
 public:
  Resnet(const ResnetPlan& plan, Impl impl, at::Generator& generator) {
    conv1_ = register_module("conv1", std::make_shared<Conv2d>(ConvOptions{3, 64, 7, 2, 3}, impl));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(64, impl));
    init_conv(*conv1_, generator);
    int64_t in = 64;
    for (size_t i = 0; i < plan.stages.size(); ++i) {
      const StagePlan& stage = plan.stages[i];
      const auto layer = register_module("layer" + std::to_string(i + 1),
                                         std::make_shared<torch::nn::Module>("Stage"));
      for (int64_t j = 0; j < stage.blocks; ++j) {
        blocks_.push_back(layer->register_module(
            std::to_string(j),
            std::make_shared<Block>(plan.bottleneck, in, stage, j == 0 ? stage.stride : 1, impl,
                                    generator)));
        in = stage.out;
      }
    }
  }

  at::Tensor forward(const at::Tensor& x) override {
    at::Tensor y = bn1_->forward(conv1_->forward(x), /*relu=*/true);
    y = at::max_pool2d(y, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
    for (const auto& block : blocks_) y = block->forward(y);
    return y;
  }

 private:
  std::shared_ptr<Conv2d> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::vector<std::shared_ptr<Block>> blocks_;
};

}  // namespace

std::shared_ptr<Backbone> make_resnet(const ModelConfig& config, at::Generator& generator) {
  return std::make_shared<Resnet>(resnet_plan(config), config.impl, generator);
}

MapShape resnet_map_shape(const ModelConfig& config) {
  const ResnetPlan plan = resnet_plan(config);
  MapShape shape{plan.stages[3].out, config.input_height, config.input_width};
  // Every stride-2 layer (conv1, the max-pool, layer2 ..) is padded: n -> ceil(n / 2).
  int64_t halvings = 2;
  for (const StagePlan& stage : plan.stages) halvings += stage.stride == 2;
  for (int64_t i = 0; i < halvings; ++i) {
    shape.height = (shape.height + 1) / 2;
    shape.width = (shape.width + 1) / 2;
  }
  return shape;
}

}  // namespace mcloss
