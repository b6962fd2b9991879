// The channel-wise attention mask (CWA; docs/mc-loss.md), drawn from a seed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "ops/channel_groups.h"
#include "types.h"

namespace mcloss {

// How many of a group's xi channels `keep` keeps, 1..xi (halves round up). Throws E_ARGUMENT for a
// ratio outside (0, 1].
int64_t kept_channels(int64_t xi, Keep keep);

// The 0/1 mask of one step, bool: [C] for MaskScope::batch, [num_samples, C] for MaskScope::sample.
// Channel c of sample n has the word philox_draw(seed, step, n, c, Purpose::cwa_mask), n = 0 for the
// whole batch; a class keeps its kept_channels(xi) channels with the smallest (word, channel).
// first_sample: the position of sample 0 in the whole batch, so that micro-batches agree. Drawn on
// seed_step's device (ops/seed_step.h), the same bits on each.
at::Tensor cwa_mask(const ChannelGroups& groups, Keep keep, MaskScope scope,
                    const at::Tensor& seed_step, int64_t num_samples, int64_t first_sample = 0);

}  // namespace mcloss
