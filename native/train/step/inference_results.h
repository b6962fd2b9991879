// What an evaluation, a prediction and a look at the feature map give to the host. All wait for the
// device.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "types.h"

namespace mcloss {

// logits: float [N, K]; target: int64 [N], on the same device.
EvalStats eval_stats(const at::Tensor& logits, const at::Tensor& target);

// Row-major.
std::vector<float> floats_of(const at::Tensor& tensor);

// features: [N, C, H, W] -> [N, channels.size(), H, W].
// Throws E_ARGUMENT for a channel that is not there.
at::Tensor maps_of(const at::Tensor& features, const std::vector<int64_t>& channels);

}  // namespace mcloss
