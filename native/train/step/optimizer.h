// How parameters follow their gradients. Two parts have a learning rate each: the backbone, and the
// head with the loss's own parameters.
#pragma once

#include <memory>
#include <vector>

#include "io/weights.h"
#include "types.h"

namespace mcloss {

class Optimizer {
 public:
  // Parameters must be where and how they will stay: the state takes their device and layout.
  Optimizer(const OptimConfig& config, const NamedTensors& backbone, const NamedTensors& head);
  virtual ~Optimizer() = default;

  // Forgets the gradients, without a pass over memory: the next backward pass brings its own. That
  // holds in a recorded step too (train/step/graphed_step.h), whose gradients come from its own
  // memory.
  void zero_grad();
  // The 2-norm of all gradients together, a scalar on the device.
  at::Tensor gradient_norm() const;
  // As torch.nn.utils.clip_grad_norm_: gradients of that norm times
  // min(1, clipGradNorm / (norm + 1e-6)).
  void clip_gradients(const at::Tensor& norm);
  // From now on the backbone's parameters have no gradients and stay, and so does their state.
  void freeze_backbone(bool frozen);
  // Of the backbone, for the steps from now on; kept on the device.
  void set_lr(double lr);
  // Makes the state, of zeros, unless it is there. A model that only predicts never needs it; a
  // step needs it, and a recording of one cannot make it.
  void prepare();
  // After prepare(). found_inf: float scalar on the device; where it is 1 nothing changes.
  void step(const at::Tensor& found_inf);

  // What a checkpoint keeps, by name. Prepares.
  NamedTensors state();

 protected:
  // Parameters that one fused call updates.
  struct Group {
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> first_moments, second_moments;  // as far as the optimizer has them
    double weight_decay;
  };
  struct Part {
    const char* name;
    double lr_scale;
    at::Tensor lr;       // scalar on the device
    at::Tensor updates;  // as far as the optimizer counts them: a float scalar on the device
    std::vector<Group> groups;
  };

  virtual void prepare(Part& part) = 0;
  virtual void step(Part& part, const at::Tensor& found_inf) = 0;
  virtual void append_state(const Part& part, NamedTensors& state) const = 0;

  static std::vector<at::Tensor> zeros_like(const std::vector<at::Tensor>& parameters);
  static std::vector<at::Tensor> gradients_of(const Group& group);

  const OptimConfig config_;

 private:
  Part make_part(const char* name, const NamedTensors& parameters, double lr_scale) const;
  std::vector<std::vector<at::Tensor>> gradients() const;  // of each group that trains

  Part backbone_, head_;
  bool prepared_ = false, frozen_ = false;
};

// As PyTorch's SGD: g += weightDecay * w; v = momentum * v + g;
// w -= lr * (nesterov ? g + momentum * v : v). Its state: the velocities v under their
// parameters' names, and for a parameter of the loss, which is saved beside them under that name,
// NAME.velocity. None without momentum.
std::unique_ptr<Optimizer> make_sgd(const OptimConfig& config, const NamedTensors& backbone,
                                    const NamedTensors& head);

// AdamW (Loshchilov and Hutter, ICLR 2019) as PyTorch's: w -= lr * weightDecay * w, then Adam's
// step. Its state: NAME.exp_avg and NAME.exp_avg_sq for each parameter, and updates.backbone and
// updates.head, which count the steps that were not skipped.
std::unique_ptr<Optimizer> make_adamw(const OptimConfig& config, const NamedTensors& backbone,
                                      const NamedTensors& head);

std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config, const NamedTensors& backbone,
                                          const NamedTensors& head);

}  // namespace mcloss
