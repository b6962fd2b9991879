// Batch norm's running statistics and their copy from before the step: a value that is not finite
// poisons them in the forward pass already, so a skipped step puts the copy back.
#pragma once

#include "io/weights.h"

namespace mcloss {

class RunningBuffers {
 public:
  // Moves the buffers of each dtype into one flat tensor (they become views of it), so that saving
  // and restoring is one copy.
  explicit RunningBuffers(const NamedTensors& buffers);

  void save();
  void restore();
  // skip: bool scalar on the device; the host does not wait for it.
  void restore_where(const at::Tensor& skip);

 private:
  std::vector<at::Tensor> flat_, saved_;
};

}  // namespace mcloss
