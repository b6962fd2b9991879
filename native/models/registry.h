// The backbones and heads by name. To add a backbone: its file with the two functions, its row in
// registry.cpp, its line in CMakeLists.txt and its name in the configuration (CONTRIBUTING.md).
#pragma once

#include <ATen/core/Generator.h>

#include <memory>
#include <string>

#include "models/backbone.h"
#include "models/head.h"
#include "types.h"

namespace mcloss {

// torchvision's own head for a backbone: one linear layer (fc), VGG's three (classifier), or none.
enum class TorchvisionHead { none, fc, classifier };

struct BackboneRow {
  const char* name;
  MakeBackbone* make;
  MapShapeOf* map_shape;
  int64_t hidden;  // width of the two-layer head's first layer
  int64_t pool;    // the two-layer head max-pools the map to pool x pool positions
  TorchvisionHead torchvision;
};

struct HeadRow {
  const char* name;
  MakeHead* make;
  EmbeddingWidth* width;
};

// Both throw E_CONFIG for an unknown name.
const BackboneRow& backbone_row(const std::string& name);
const HeadRow& head_row(const std::string& name);

}  // namespace mcloss
