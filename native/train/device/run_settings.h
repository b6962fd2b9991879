// The settings of LibTorch that decide speed and reproducibility (struct RunSettings). LibTorch keeps
// them for the whole process, so two trainers of one process share them.
#pragma once

#include "types.h"

namespace mcloss {

void apply_settings(const RunSettings& settings);

}  // namespace mcloss
