// The arithmetic of step_sums, for the CPU and the GPU.
#pragma once

#include <array>
#include <cstdint>

#include "ops/kernel/host_device.h"
#include "ops/step_sums.h"

namespace mcloss {

enum StepSum : int { kLoss, kCorrect, kCount, kGradNorm, kSkipped };

// Whether argmax takes column i with value a before column j with value b.
MCLOSS_HOST_DEVICE inline bool comes_before(float a, int64_t i, float b, int64_t j) {
  if (a != a) return b == b || i < j;
  return a > b || (a == b && i < j);
}

struct BatchMeans {
  const float* mean[kMostBatchMeans];
  int count;  // the loss and its parts
};

MCLOSS_HOST_DEVICE inline void add_batch(const BatchMeans& means, double correct, double n,
                                         bool first, double* step) {
  step[kCorrect] = first ? correct : step[kCorrect] + correct;
  step[kCount] = first ? n : step[kCount] + n;
  for (int i = 0; i < means.count; ++i) {
    double& sum = step[i == 0 ? int{kLoss} : static_cast<int>(kStepSums) + i - 1];
    const double own = static_cast<double>(*means.mean[i]) * n;
    sum = first ? own : sum + own;
  }
}

MCLOSS_HOST_DEVICE inline bool is_skipped(const double* step, float grad_norm) {
  const double sum = grad_norm + step[kLoss];
  return sum - sum != 0;  // NaN for an infinity and for NaN
}

// What the step adds to sum i of all.
MCLOSS_HOST_DEVICE inline double added(const double* step, float grad_norm, bool skip, int64_t i) {
  if (i == kSkipped) return skip ? 1 : 0;
  if (skip) return 0;
  return i == kGradNorm ? static_cast<double>(grad_norm) : step[i];
}

}  // namespace mcloss
