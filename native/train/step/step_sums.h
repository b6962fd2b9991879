// The statistics of steps, summed on the device and read only when asked for, so that a step does
// not wait for it.
#pragma once

#include "losses/loss.h"

namespace mcloss {

// What one step adds: sums over its samples, on the device; all but buffer_sums are scalars.
struct StepSums {
  at::Tensor loss;  // of the whole loss
  std::vector<std::pair<std::string, at::Tensor>> parts;
  at::Tensor correct;
  at::Tensor buffer_sums;  // as LossOutput's
  int64_t n = 0;

  // Adds a micro-batch: `output` are means over its n samples.
  void add(const LossOutput& output, const at::Tensor& correct_count, int64_t count);
};

class RunningSums {
 public:
  // On the device alone. skip: bool scalar; where it is true only `skipped` grows.
  void add(const StepSums& step, const at::Tensor& grad_norm, const at::Tensor& skip);
  // A step was run, by add() or by a replay of it.
  void count_step() { ++steps_; }
  // Waits for the device, returns the sums (all but ms) and starts anew.
  StepStats take();

 private:
  std::vector<std::string> names_;  // of the parts
  at::Tensor sums_;                 // float64 [loss, correct, n, gradNorm, skipped, parts...]
  int64_t steps_ = 0;
};

}  // namespace mcloss
