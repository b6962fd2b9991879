#include <ATen/ops/_fused_sgd.h>

#include "train/step/optimizer.h"

namespace mcloss {
namespace {

class Sgd : public Optimizer {
 public:
  using Optimizer::Optimizer;

 protected:
  void prepare(Part& part) override {
    if (config_.momentum == 0) return;
    for (Group& group : part.groups) group.first_moments = zeros_like(group.parameters);
  }

  void step(Part& part, const at::Tensor& found_inf) override {
    for (Group& group : part.groups) {
      // A velocity of zeros makes the first step like every other.
      at::_fused_sgd_(group.parameters, gradients_of(group), group.first_moments,
                      group.weight_decay, config_.momentum, part.lr, /*dampening=*/0,
                      config_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                      /*grad_scale=*/{}, found_inf);
    }
  }

  void append_state(const Part& part, NamedTensors& state) const override {
    for (const Group& group : part.groups) {
      for (size_t i = 0; i < group.first_moments.size(); ++i) {
        const std::string& name = group.names[i];
        state.emplace_back(name.starts_with("loss.") ? name + ".velocity" : name,
                           group.first_moments[i]);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const OptimConfig& config, const NamedTensors& backbone,
                                    const NamedTensors& head) {
  return std::make_unique<Sgd>(config, backbone, head);
}

}  // namespace mcloss
