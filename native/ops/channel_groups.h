// Which channels belong to which class (docs/mc-loss.md, "Channel groups").
#pragma once

#include <cstdint>

#include "ops/kernel/group_layout.h"

namespace mcloss {

// The layout of num_channels over num_classes, checked.
struct ChannelGroups : GroupLayout {
  // Throws E_ARGUMENT when num_classes < 1 or num_channels < num_classes.
  ChannelGroups(int64_t num_channels, int64_t num_classes);
};

}  // namespace mcloss
