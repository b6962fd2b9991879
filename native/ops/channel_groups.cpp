#include "ops/channel_groups.h"

#include "ops/operator.h"

namespace mcloss {

ChannelGroups::ChannelGroups(int64_t num_channels, int64_t num_classes)
    : GroupLayout{num_channels, num_classes, 0, 0} {
  if (num_classes < 1 || num_channels < num_classes) {
    refuse("channel groups", "at least one channel for each of at least one class",
           c10::str(num_channels, " channels for ", num_classes, " classes"),
           "Use a backbone with more channels, or widen its last stage (model.channelsPerClass).");
  }
  small_size = num_channels / num_classes;
  num_small = num_classes - num_channels % num_classes;
}

}  // namespace mcloss
