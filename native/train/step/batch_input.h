// A batch's images as the network's input: gather_augment on its buffer or its store.
#pragma once

#include "ops/gather_augment.h"
#include "train/device/upload.h"
#include "types.h"

namespace mcloss {

// -> [count, 3, out_height, out_width] on the device of `upload`, channels_last. Throws E_ARGUMENT for a
// row that is not in the store, and for a store on a GPU where the device is the CPU.
at::Tensor batch_input(const Batch& batch, const GatherOptions& options, const Uploader& upload);

}  // namespace mcloss
