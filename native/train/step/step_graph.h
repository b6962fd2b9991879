// The launches of a training step, recorded once as a CUDA graph and replayed. What a step reads from
// the host is frozen in the recording; what it reads from device memory is read anew.
#pragma once

#include <functional>
#include <memory>

namespace mcloss {

class StepGraph {
 public:
  virtual ~StepGraph() = default;

  // Records what `step` launches on the current stream, which runs nothing. Rethrows what `step`
  // throws, LibTorch's refusal of an operator that waits for the device among it: then there is no
  // recording.
  virtual void record(const std::function<void()>& step) = 0;
  virtual void replay() = 0;
  // Frees the recording, after which another can be made.
  virtual void forget() = 0;
};

// step_graph_cuda.cu, or step_graph_none.cpp (null) in a build without CUDA.
std::unique_ptr<StepGraph> make_step_graph();

}  // namespace mcloss
