// Decides, step by step, between running a step as it is and replaying its recording: a few steps
// warm up (cuDNN tries its algorithms, memory is allocated), the next is recorded, every further one
// of the same shape is a replay. Steps of another shape (an epoch's last batch) run as they are.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "train/step/step_graph.h"

namespace mcloss {

// A batch as the network takes it, on the device.
struct StepBatch {
  at::Tensor input;         // [N, 3, h, w]
  at::Tensor target;        // [N] int64
  int64_t micro_batch = 0;  // samples of a forward and backward pass
};

class GraphedStep {
 public:
  // graph: null where every step runs as it is.
  explicit GraphedStep(std::unique_ptr<StepGraph> graph) : graph_(std::move(graph)) {}

  // Runs `update` on the batch, or replays what it launched. `update` reads from the host nothing
  // that changes from step to step. Returns a warning that says why when a recording fails, after
  // which every step runs as it is; else an empty text. as_it_is: no replay and no recording, and
  // the step does not count as one that warms up.
  std::string run(const StepBatch& given, const std::function<void(const StepBatch&)>& update,
                  bool as_it_is = false);

  // The memory that a replay of a step of this shape reads: a batch that is written there needs no copy.
  // Undefined tensors where such a step is none.
  StepBatch memory_of(int64_t count, int64_t micro_batch) const;

  // From now on `update` does other work: it warms up and is recorded anew.
  void forget();

 private:
  static constexpr int warm_up_steps = 3;

  // Two steps with the same shape launch the same work.
  struct Shape {
    int64_t count = 0, micro_batch = 0;
    bool operator==(const Shape&) const = default;
  };

  std::unique_ptr<StepGraph> graph_;
  Shape shape_;
  int warm_ups_ = 0;
  bool recorded_ = false;
  StepBatch batch_;  // the memory the recording reads
};

}  // namespace mcloss
