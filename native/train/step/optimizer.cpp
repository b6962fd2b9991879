#include "train/step/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <functional>

namespace mcloss {

Optimizer::Optimizer(const OptimConfig& config, const NamedTensors& backbone,
                     const NamedTensors& head)
    : config_(config),
      backbone_(make_part("backbone", backbone, 1)),
      head_(make_part("head", head, config.head_lr_scale)) {}

Optimizer::Part Optimizer::make_part(const char* name, const NamedTensors& parameters,
                                     double lr_scale) const {
  // What the fused operators read: float32 on a GPU, any on the CPU, where a double loses nothing.
  const at::Device device = parameters.front().second.device();
  const at::ScalarType dtype = device.is_cuda() ? at::kFloat : at::kDouble;
  const at::Tensor lr = at::zeros({}, at::TensorOptions().dtype(dtype).device(device));
  Part part{name, lr_scale, lr, {}, {}};
  Group decayed{{}, {}, {}, {}, config_.weight_decay}, others{{}, {}, {}, {}, 0};
  for (const auto& [parameter_name, parameter] : parameters) {
    const bool decays = config_.decay_norm_and_bias || parameter.dim() > 1;
    Group& group = decays ? decayed : others;
    group.names.push_back(parameter_name);
    group.parameters.push_back(parameter);
  }
  for (Group& group : {std::ref(decayed), std::ref(others)}) {
    if (!group.names.empty()) part.groups.push_back(std::move(group));
  }
  return part;
}

void Optimizer::zero_grad() {
  for (Part* part : {&backbone_, &head_}) {
    for (Group& group : part->groups) {
      for (at::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
    }
  }
}

at::Tensor Optimizer::gradient_norm() const {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const std::vector<at::Tensor>& group : gradients()) {
    for (at::Tensor& norm : at::_foreach_norm(group)) norms.push_back(std::move(norm));
  }
  return at::linalg_vector_norm(at::stack(norms));
}

void Optimizer::clip_gradients(const at::Tensor& norm) {
  const c10::NoGradGuard no_grad;
  const at::Tensor factor = (config_.clip_grad_norm / (norm + 1e-6)).clamp_max(1);
  for (const std::vector<at::Tensor>& group : gradients()) at::_foreach_mul_(group, factor);
}

void Optimizer::freeze_backbone(bool frozen) {
  zero_grad();  // the last ones before would lie there
  frozen_ = frozen;
}

void Optimizer::set_lr(double lr) {
  for (Part* part : {&backbone_, &head_}) part->lr.fill_(lr * part->lr_scale);
}

void Optimizer::prepare() {
  if (prepared_) return;
  const c10::NoGradGuard no_grad;
  prepare(backbone_);
  prepare(head_);
  prepared_ = true;
}

void Optimizer::step(const at::Tensor& found_inf) {
  const c10::NoGradGuard no_grad;
  if (!frozen_) step(backbone_, found_inf);
  step(head_, found_inf);
}

NamedTensors Optimizer::state() {
  prepare();
  NamedTensors state;
  append_state(backbone_, state);
  append_state(head_, state);
  return state;
}

std::vector<at::Tensor> Optimizer::zeros_like(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> zeros;
  zeros.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) zeros.push_back(at::zeros_like(parameter));
  return zeros;
}

std::vector<at::Tensor> Optimizer::gradients_of(const Group& group) {
  std::vector<at::Tensor> gradients;
  gradients.reserve(group.parameters.size());
  for (const at::Tensor& parameter : group.parameters) gradients.push_back(parameter.grad());
  return gradients;
}

std::vector<std::vector<at::Tensor>> Optimizer::gradients() const {
  std::vector<std::vector<at::Tensor>> groups;
  for (const Part* part : {&backbone_, &head_}) {
    if (part == &backbone_ && frozen_) continue;
    for (const Group& group : part->groups) groups.push_back(gradients_of(group));
  }
  return groups;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config, const NamedTensors& backbone,
                                          const NamedTensors& head) {
  const bool is_sgd = config.kind == OptimizerKind::sgd;
  return is_sgd ? make_sgd(config, backbone, head) : make_adamw(config, backbone, head);
}

}  // namespace mcloss
