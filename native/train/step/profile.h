// Which operators a training step spends its time in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/step/trainer.h"

namespace mcloss {

struct OperatorTime {
  std::string name;  // as LibTorch and mcloss register it, e.g. aten::convolution_backward
  int64_t calls = 0;
  double self_ms = 0;  // inside it, less the operators it called

  template <typename V>
  void fields(V& v) {
    v("name", name);
    v("calls", calls);
    v("selfMs", self_ms);
  }
};

// Takes one step, never by a recording of it: a replay has no operators. Longest self time first; mcloss::step is what lies outside every operator, so that on
// a CPU the times add up to the step. On a GPU each operator is waited for, which a step otherwise is
// not: the times are the device's with its gaps, and their sum is more than an ordinary step takes.
std::vector<OperatorTime> profile_step(Trainer& trainer, const Batch& batch, const StepArgs& args);

}  // namespace mcloss
