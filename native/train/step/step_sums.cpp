#include "train/step/step_sums.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace mcloss {
namespace {

at::Tensor sum_of(const at::Tensor& mean, int64_t n) { return mean.detach().to(at::kDouble) * n; }

}  // namespace

void StepSums::add(const LossOutput& output, const at::Tensor& correct_count, int64_t count) {
  const bool first = n == 0;
  loss = first ? sum_of(output.loss, count) : loss + sum_of(output.loss, count);
  correct = first ? correct_count.to(at::kDouble) : correct + correct_count;
  if (output.buffer_sums.defined()) {
    buffer_sums = first ? output.buffer_sums : buffer_sums + output.buffer_sums;
  }
  for (size_t i = 0; i < output.parts.size(); ++i) {
    const auto& [name, mean] = output.parts[i];
    if (first) {
      parts.emplace_back(name, sum_of(mean, count));
    } else {
      parts[i].second += sum_of(mean, count);
    }
  }
  n += count;
}

void RunningSums::add(const StepSums& step, const at::Tensor& grad_norm, const at::Tensor& skip) {
  std::vector<at::Tensor> row{step.loss, step.correct, at::full_like(step.loss, step.n),
                              grad_norm.to(at::kDouble), at::zeros_like(step.loss)};
  names_.clear();
  for (const auto& [name, sum] : step.parts) {
    names_.push_back(name);
    row.push_back(sum);
  }
  const at::Tensor finite = at::stack(row);
  at::Tensor skipped = at::zeros_like(finite);
  skipped[4] = 1;
  const at::Tensor added = at::where(skip, skipped, finite);
  if (sums_.defined()) {
    sums_ += added;
  } else {
    sums_ = added;
  }
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
    for (size_t i = 0; i < names_.size(); ++i) stats.parts.emplace_back(names_[i], value[5 + i]);
    sums_.zero_();  // in place: a recorded step goes on adding there
  }
  steps_ = 0;
  return stats;
}

}  // namespace mcloss
