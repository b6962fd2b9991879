#include "models/registry.h"

#include "named_rows.h"

namespace mcloss {

// A backbone's file defines make_FILE and FILE_map_shape, a head's make_HEAD and HEAD_width.
// clang-format off
#define BACKBONES(row)                                     \
  /*  name         file   hidden pool torchvision's head*/ \
  row("resnet18",  resnet,   512,   1, fc)                 \
  row("resnet50",  resnet,   512,   1, fc)                 \
  row("vgg16",     vgg,      512,   7, classifier)         \
  row("vgg16_bn",  vgg,      512,   7, classifier)         \
  row("vgg-small", vgg,      128,   1, none)               \
  row("toy",       vgg,       32,   1, none)

#define HEADS(row)                     \
  row("torchvision", torchvision_head) \
  row("linear",      linear_head)      \
  row("two-layer",   two_layer_head)   \
  row("bilinear",    bilinear_head)
// clang-format on

#define DECLARE(name, file, ...) \
  MakeBackbone make_##file;      \
  MapShapeOf file##_map_shape;
BACKBONES(DECLARE)
#undef DECLARE
#define DECLARE(name, head) \
  MakeHead make_##head;     \
  EmbeddingWidth head##_width;
HEADS(DECLARE)

namespace {

#define ROW(name, file, hidden, pool, head) \
  {name, make_##file, file##_map_shape, hidden, pool, TorchvisionHead::head},
constexpr BackboneRow backbones[] = {BACKBONES(ROW)};
#undef ROW
#define ROW(name, head) {name, make_##head, head##_width},
constexpr HeadRow heads[] = {HEADS(ROW)};

}  // namespace

const BackboneRow& backbone_row(const std::string& name) {
  return row_named(backbones, name, "model: expected backbone");
}

const HeadRow& head_row(const std::string& name) {
  return row_named(heads, name, "model: expected head");
}

}  // namespace mcloss
