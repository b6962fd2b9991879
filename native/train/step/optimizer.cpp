#include "train/step/optimizer.h"

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace mcloss {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

}  // namespace

Sgd::Sgd(const OptimConfig& config, NamedTensors backbone, NamedTensors head)
    : config_(config), groups_{make_group(backbone, 1), make_group(head, config.head_lr_scale)} {}

Sgd::Group Sgd::make_group(const NamedTensors& parameters, double lr_scale) const {
  const c10::NoGradGuard no_grad;
  // What _fused_sgd_ reads: float32 on a GPU, any on the CPU, where a double loses nothing.
  const at::Device device = parameters.front().second.device();
  const at::ScalarType dtype = device.is_cuda() ? at::kFloat : at::kDouble;
  Group group{{}, {}, {}, lr_scale, at::zeros({}, at::TensorOptions().dtype(dtype).device(device))};
  for (const auto& [name, parameter] : parameters) {
    group.names.push_back(name);
    group.parameters.push_back(parameter);
    if (config_.momentum > 0) group.velocities.push_back(at::zeros_like(parameter));
  }
  return group;
}

void Sgd::zero_grad() {
  for (Group& group : groups_) {
    for (at::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

at::Tensor Sgd::gradient_norm() const {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const Group& group : groups_) {
    for (at::Tensor& norm : at::_foreach_norm(gradients_of(group.parameters))) {
      norms.push_back(std::move(norm));
    }
  }
  return at::linalg_vector_norm(at::stack(norms));
}

void Sgd::set_lr(double lr) {
  for (Group& group : groups_) group.lr.fill_(lr * group.lr_scale);
}

void Sgd::step(const at::Tensor& found_inf) {
  const c10::NoGradGuard no_grad;
  for (Group& group : groups_) {
    // A velocity of zeros makes the first step like every other.
    at::_fused_sgd_(group.parameters, gradients_of(group.parameters), group.velocities,
                    config_.weight_decay, config_.momentum, group.lr, /*dampening=*/0,
                    config_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/{}, found_inf);
  }
}

NamedTensors Sgd::state() const {
  NamedTensors state;
  for (const Group& group : groups_) {
    for (size_t i = 0; i < group.velocities.size(); ++i) {
      state.emplace_back(group.names[i], group.velocities[i]);
    }
  }
  return state;
}

}  // namespace mcloss
