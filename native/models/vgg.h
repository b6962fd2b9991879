// The plain stacks of 3x3 convolutions, ReLUs and 2x2 max-pools: VGG-16 and VGG-16-BN (Simonyan &
// Zisserman, 2015), the small ones of our own (vgg-small: the demo's; toy: the tests'). Parameters
// are features.N.* as torchvision counts them: convolution, batch norm, ReLU and pool each take one
// number. The last ReLU is the end; torchvision's last pool belongs to its head here.
#pragma once

#include <ATen/core/Generator.h>

#include <memory>

#include "models/backbone.h"

namespace mcloss {

// config.backbone is vgg16, vgg16_bn, vgg-small or toy. vgg-small exists only widened: throws
// E_CONFIG when channels_per_class is 0.
std::shared_ptr<Backbone> make_vgg(const ModelConfig& config, at::Generator& generator);
MapShape vgg_map_shape(const ModelConfig& config);

}  // namespace mcloss
