// Which channels belong to which class, as plain numbers: for the kernels, which see no tensor.
#pragma once

#include <cstdint>

#include "ops/kernel/host_device.h"

namespace mcloss {

// C channels over K classes: q = C / K, r = C % K; the first K - r classes own q channels each, the
// last r own q + 1. Every group is contiguous.
struct GroupLayout {
  int64_t num_channels, num_classes;
  int64_t small_size, num_small;  // q, and how many classes own q channels

  MCLOSS_HOST_DEVICE int64_t size(int64_t cls) const {
    return cls < num_small ? small_size : small_size + 1;
  }
  MCLOSS_HOST_DEVICE int64_t begin(int64_t cls) const {
    return cls * small_size + (cls > num_small ? cls - num_small : 0);
  }
  MCLOSS_HOST_DEVICE int64_t largest_size() const {
    return num_small < num_classes ? small_size + 1 : small_size;
  }
};

}  // namespace mcloss
