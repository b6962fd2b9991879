// The statistics of steps, summed on the device and read only when asked for, so that a step does not
// wait for it.
#pragma once

#include "losses/loss.h"
#include "ops/step_sums.h"

namespace mcloss {

class RunningSums {
 public:
  // On the device alone. A micro-batch of a step, the first one where `first`: `output` are means over its
  // samples, `logits` what it predicts.
  void add_batch(const LossOutput& output, const at::Tensor& logits, const at::Tensor& target,
                 bool first);
  // Then the step; where it is skipped only `skipped` grows.
  StepVerdict add_step(const at::Tensor& grad_norm);
  // A step was run, by these two or by a replay of it.
  void count_step() { ++steps_; }
  // Waits for the device, returns the sums (all but ms) and starts anew.
  StepStats take();

 private:
  std::vector<std::string> names_;  // of the parts
  at::Tensor step_, sums_;          // of one step and of all (ops/step_sums.h)
  int64_t steps_ = 0;
};

}  // namespace mcloss
