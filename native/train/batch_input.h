// A batch's images as the network's input: gather_augment on its buffer or its store.
#pragma once

#include "ops/gather_augment.h"
#include "types.h"

namespace mcloss {

// -> [count, 3, out_height, out_width] on `device`, channels_last. Throws E_ARGUMENT for a row that is
// not in the store or a store on another kind of device.
at::Tensor batch_input(const Batch& batch, const GatherOptions& options, at::Device device);

}  // namespace mcloss
