// The statistics of a training step, added up where its tensors lie: two operators in place of some twenty
// on single numbers. Sums are float64 [5 + P]: loss, correct, n, gradNorm, skipped, the loss's P parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mcloss {

constexpr int64_t kStepSums = 5;        // before the parts
constexpr int64_t kMostBatchMeans = 8;  // the loss and its parts

// Adds a micro-batch to the sums of its step; the first one of a step begins them. logits: float [n, K];
// target: int64 [n]; means: float scalars, of the loss and of its parts, over the n samples. Correct is a
// sample whose target is what argmax gives: the first of the largest, of which NaN is one.
void add_batch_sums(at::Tensor step, const at::Tensor& logits, const at::Tensor& target,
                    at::TensorList means, bool first);

// Scalars: whether the step is to be skipped, and the same as 0 or 1 in float32.
struct StepVerdict {
  at::Tensor skip, found_inf;
};

// Adds a step to the sums of all, with the norm of its gradient, a float scalar. Where norm + loss is not
// finite only `skipped` grows.
StepVerdict add_step_sums(at::Tensor sums, const at::Tensor& step, const at::Tensor& grad_norm);

}  // namespace mcloss
