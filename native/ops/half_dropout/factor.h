// One factor, for the CPU and the GPU.
#pragma once

#include "ops/kernel/philox.h"

namespace mcloss {

// seed_step: two numbers, as seed_step_data gives them. column: 0..width-1 of the layer.
MCLOSS_HOST_DEVICE inline float half_dropout_factor(const int64_t* seed_step, int64_t sample,
                                                    int64_t layer, int64_t width, int64_t column) {
  const uint32_t word =
      philox_draw(static_cast<uint64_t>(seed_step[0]), static_cast<uint32_t>(seed_step[1]),
                  static_cast<uint32_t>(sample), static_cast<uint32_t>(layer * width + column),
                  Purpose::dropout);
  return word >> 31 ? 2.0f : 0.0f;
}

}  // namespace mcloss
