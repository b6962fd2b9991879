// Rows of values padded for the CPU kernels.
#pragma once

#include <cstdint>

namespace mcloss {

constexpr int64_t kWidestLanes = 16;  // floats in the widest vector

// The count rounded up to a whole number of the widest vectors.
static inline int64_t whole_vectors(int64_t count) {
  return (count + kWidestLanes - 1) / kWidestLanes * kWidestLanes;
}

}  // namespace mcloss
