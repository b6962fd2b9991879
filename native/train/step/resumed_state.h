// What a checkpoint holds beside the model: the optimizer's velocities, and the loss's own parameters
// and buffers.
#pragma once

#include "io/weights.h"

namespace mcloss {

// Throws E_CHECKPOINT unless names and shapes of `saved` are those of `own`. source: the file.
void check_resumed(const NamedTensors& own, const NamedTensors& saved, const std::string& source);

// Copies into `own` what check_resumed has passed.
void load_resumed(const NamedTensors& own, const NamedTensors& saved);

}  // namespace mcloss
