// SGD with momentum over two groups of parameters, as PyTorch's SGD: g += weightDecay * w;
// v = momentum * v + g; w -= lr * (nesterov ? g + momentum * v : v).
#pragma once

#include <vector>

#include "io/weights.h"
#include "types.h"

namespace mcloss {

class Sgd {
 public:
  // Parameters must be where and how they will stay: velocities take their device and layout.
  Sgd(const OptimConfig& config, NamedTensors backbone, NamedTensors head);

  // Forgets the gradients, without a pass over memory: the next backward pass brings its own. That
  // holds in a recorded step too (train/step/graphed_step.h), whose gradients come from its own memory.
  void zero_grad();
  // The 2-norm of all gradients together, a float scalar on the device.
  at::Tensor gradient_norm() const;
  // Of the backbone, for the steps from now on; kept on the device.
  void set_lr(double lr);
  // found_inf: float scalar on the device; where it is 1 nothing changes.
  void step(const at::Tensor& found_inf);

  // The velocities under their parameters' names; none without momentum.
  NamedTensors state() const;

 private:
  struct Group {
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, velocities;
    double lr_scale;
    at::Tensor lr;  // scalar on the device
  };
  Group make_group(const NamedTensors& parameters, double lr_scale) const;

  OptimConfig config_;
  std::vector<Group> groups_;
};

}  // namespace mcloss
