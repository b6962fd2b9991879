// Batch norm's running statistics and counters, and their copy from before the step: a value that is
// not finite poisons them in the forward pass already, so a skipped step puts the copy back.
#pragma once

#include "io/weights.h"

namespace mcloss {

class RunningBuffers {
 public:
  // Moves the buffers of each dtype into one flat tensor (they become views of it), so that saving,
  // restoring and counting is one operator. others: without counters.
  RunningBuffers(const NamedTensors& backbone, const NamedTensors& head,
                 const NamedTensors& others);

  // So many batches went through batch norm in training mode: that of the head, and of the backbone
  // unless it is frozen. One addition to all counters (num_batches_tracked), which are int64.
  void count(int64_t batches, bool of_backbone);

  void save();
  void restore();
  // skip: bool scalar on the device; the host does not wait for it.
  void restore_where(const at::Tensor& skip);

 private:
  std::vector<at::Tensor> flat_, saved_;
  at::Tensor counters_, head_counters_;
};

}  // namespace mcloss
