#include "train/step/step_sums.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

namespace mcloss {

void RunningSums::add_batch(const LossOutput& output, const at::Tensor& logits,
                            const at::Tensor& target, bool first) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> means{output.loss.to(at::kFloat)};
  names_.clear();
  for (const auto& [name, mean] : output.parts) {
    names_.push_back(name);
    means.push_back(mean.to(at::kFloat));
  }
  if (!sums_.defined()) {
    const auto count = kStepSums + static_cast<int64_t>(names_.size());
    sums_ = at::zeros({count}, logits.options().dtype(at::kDouble).requires_grad(false));
    step_ = at::zeros_like(sums_);
  }
  add_batch_sums(step_, logits, target, means, first);
}

StepVerdict RunningSums::add_step(const at::Tensor& grad_norm) {
  return add_step_sums(sums_, step_, grad_norm);
}

StepStats RunningSums::take() {
  StepStats stats;
  stats.steps = steps_;
  if (sums_.defined()) {
    const at::Tensor sums = sums_.cpu();
    const double* value = sums.const_data_ptr<double>();
    stats.loss = value[0];
    stats.correct = static_cast<int64_t>(value[1]);
    stats.n = static_cast<int64_t>(value[2]);
    stats.grad_norm = value[3];
    stats.skipped = static_cast<int64_t>(value[4]);
    for (size_t i = 0; i < names_.size(); ++i)
      stats.parts.emplace_back(names_[i], value[kStepSums + i]);
    sums_.zero_();  // in place: a recorded step goes on adding there
  }
  steps_ = 0;
  return stats;
}

}  // namespace mcloss
