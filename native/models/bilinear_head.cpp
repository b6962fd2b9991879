// The bilinear head, B-CNN and iSQRT-COV: [1x1 convolution, BN, ReLU,] pooling of pairs of channels
// (bilinear_pooling.h), last layer. The reduction to fewer channels keeps the pairs of a wide map few.
#include "models/bilinear_pooling.h"
#include "models/head.h"
#include "models/last_layer.h"
#include "models/layers.h"
#include "models/registry.h"

namespace mcloss {
namespace {

class BilinearHead : public Head {
 public:
  BilinearHead(const ModelConfig& config, const MapShape& map, int64_t width,
               at::Generator& generator)
      : pooling_(config.pooling) {
    const auto head = register_module("head", std::make_shared<torch::nn::Module>("Bilinear"));
    if (config.reduction > 0) {
      reduction_ = head->register_module(
          "reduction",
          std::make_shared<Conv2d>(ConvOptions{map.channels, config.reduction, 1}, config.impl));
      norm_ =
          head->register_module("norm", std::make_shared<BatchNorm>(config.reduction, config.impl));
      init_conv(*reduction_, generator);
    }
    fc_ = head->register_module(
        "fc", std::make_shared<LastLayer>(config.classifier, width, config.num_classes));
    init_linear_uniform(fc_->rows, fc_->bias, generator);
  }

  HeadOutput forward(const at::Tensor& features, const DropoutDraw&) override {
    const at::Tensor map =
        reduction_ ? norm_->forward(reduction_->forward(features), /*relu=*/true) : features;
    const at::Tensor x = pooling_ == Pooling::sum ? bilinear_pooling(map) : isqrt_pooling(map);
    return {x, fc_->forward(x)};
  }

 private:
  const Pooling pooling_;
  std::shared_ptr<Conv2d> reduction_;  // null: none
  std::shared_ptr<BatchNorm> norm_;
  std::shared_ptr<LastLayer> fc_;
};

}  // namespace

int64_t bilinear_head_width(const ModelConfig& config, const MapShape& map) {
  if (config.reduction > map.channels) {
    throw Error("E_CONFIG", "model: expected a reduction to at most the " +
                                std::to_string(map.channels) + " channels of " + config.backbone +
                                " but received " + std::to_string(config.reduction) +
                                "; choose a smaller model.reduction.");
  }
  if (config.pooling == Pooling::isqrt && map.height * map.width == 1) {
    throw Error("E_ARGUMENT", "model " + config.backbone +
                                  ": pooling isqrt takes a covariance over positions, and the "
                                  "feature map has one (1x1); use a larger crop or pooling sum.");
  }
  const int64_t channels = config.reduction > 0 ? config.reduction : map.channels;
  return channels * (channels + 1) / 2;
}

std::shared_ptr<Head> make_bilinear_head(const ModelConfig& config, const MapShape& map,
                                         at::Generator& generator) {
  return std::make_shared<BilinearHead>(config, map, bilinear_head_width(config, map), generator);
}

}  // namespace mcloss
