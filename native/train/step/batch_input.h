// A batch on the device: its images as the network's input, by gather_augment on its buffer or its
// store, and its labels.
#pragma once

#include "ops/gather_augment.h"
#include "train/device/upload.h"
#include "types.h"

namespace mcloss {

struct BatchInput {
  at::Tensor input;   // [count, 3, out_height, out_width], channels_last
  at::Tensor target;  // int64 [count]; undefined without labels
};

// On the device of `upload`, without a wait for it. Throws E_ARGUMENT for a row that is not in the
// store, and for a store on a GPU where the device is the CPU.
// into: tensors as the result's, channels_last, that take its place; undefined: new ones.
BatchInput batch_input(const Batch& batch, const GatherOptions& options, const Uploader& upload,
                       const BatchInput& into = {});

}  // namespace mcloss
