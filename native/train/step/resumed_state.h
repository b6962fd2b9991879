// What a checkpoint holds beside the model: the state of the optimizer and of the average of
// weights, and the loss's own parameters and buffers.
#pragma once

#include "io/weights.h"

namespace mcloss {

// Throws E_CHECKPOINT unless names and shapes of `saved` are those of `own`.
void check_resumed(const NamedTensors& own, const WeightFile& saved);

// Copies into `own` what check_resumed has passed.
void load_resumed(const NamedTensors& own, const WeightFile& saved);

}  // namespace mcloss
