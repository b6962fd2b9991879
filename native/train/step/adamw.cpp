#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>

#include "train/step/optimizer.h"

namespace mcloss {
namespace {

class Adamw : public Optimizer {
 public:
  using Optimizer::Optimizer;

 protected:
  void prepare(Part& part) override {
    part.updates = at::zeros({}, part.lr.options().dtype(at::kFloat));
    for (Group& group : part.groups) {
      group.first_moments = zeros_like(group.parameters);
      group.second_moments = zeros_like(group.parameters);
    }
  }

  void step(Part& part, const at::Tensor& found_inf) override {
    part.updates += 1 - found_inf;  // the operator does not count itself
    for (Group& group : part.groups) {
      const std::vector<at::Tensor> updates(group.parameters.size(), part.updates);
      at::_fused_adamw_(group.parameters, gradients_of(group), group.first_moments,
                        group.second_moments, /*max_exp_avg_sqs=*/{}, updates, part.lr,
                        config_.betas[0], config_.betas[1], group.weight_decay, config_.eps,
                        /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/{}, found_inf);
    }
  }

  void append_state(const Part& part, NamedTensors& state) const override {
    state.emplace_back(std::string("updates.") + part.name, part.updates);
    for (const Group& group : part.groups) {
      for (size_t i = 0; i < group.names.size(); ++i) {
        state.emplace_back(group.names[i] + ".exp_avg", group.first_moments[i]);
        state.emplace_back(group.names[i] + ".exp_avg_sq", group.second_moments[i]);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimConfig& config, const NamedTensors& backbone,
                                      const NamedTensors& head) {
  return std::make_unique<Adamw>(config, backbone, head);
}

}  // namespace mcloss
