// ResNet-18 and ResNet-50 (He et al., CVPR 2016), stride in the 3x3 convolution as torchvision's.
// Widened (channels_per_class = xi > 0): layer4 puts out num_classes * xi channels at stride 1, so
// the map keeps layer3's size; the inner width of ResNet-50's layer4 is then ceil(C / 4).
#pragma once

#include <ATen/core/Generator.h>

#include <memory>

#include "models/backbone.h"

namespace mcloss {

// config.backbone is resnet18 or resnet50.
std::shared_ptr<Backbone> make_resnet(const ModelConfig& config, at::Generator& generator);
MapShape resnet_map_shape(const ModelConfig& config);

}  // namespace mcloss
