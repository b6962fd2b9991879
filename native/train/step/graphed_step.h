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

// Samples of a batch as the network takes them, on the device.
struct StepPart {
  at::Tensor input;   // [n, 3, h, w]
  at::Tensor target;  // [n] int64
};

// `count` samples of the batch from `first` on.
using PartOf = std::function<StepPart(int64_t first, int64_t count)>;

class GraphedStep {
 public:
  // graph: null where every step runs as it is.
  explicit GraphedStep(std::unique_ptr<StepGraph> graph) : graph_(std::move(graph)) {}

  // Two steps with the same shape launch the same work.
  struct Shape {
    int64_t count = 0, part = 0;  // samples of the batch, and of a forward and backward pass
    bool operator==(const Shape&) const = default;
  };

  // Runs `update` on the batch, or replays what it launched. `update` reads from the host nothing
  // that changes from step to step. Returns a warning that says why when a recording fails, after
  // which every step runs as it is; else an empty text.
  std::string run(Shape shape, const PartOf& part_of,
                  const std::function<void(const PartOf&)>& update);

 private:
  static constexpr int warm_up_steps = 3;

  std::unique_ptr<StepGraph> graph_;
  Shape shape_;
  int warm_ups_ = 0;
  bool recorded_ = false;
  StepPart batch_;  // the memory the recording reads
};

}  // namespace mcloss
