#include "train/step/ema.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

namespace mcloss {

Ema::Ema(const EmaConfig& config, NamedTensors model) : config_(config), model_(std::move(model)) {}

void Ema::prepare() {
  if (updates_.defined()) return;
  for (const auto& [name, weight] : model_) average_.push_back(weight.detach().clone());
  updates_ = at::zeros({}, average_.front().options().dtype(at::kLong));
}

void Ema::update(const at::Tensor& skip) {
  const c10::NoGradGuard no_grad;
  updates_ += skip.logical_not();
  const auto scalar = [&](double value) { return at::full({}, value, average_.front().options()); };
  const at::Tensor begins = updates_ <= config_.warmup_steps + 1;
  const at::Tensor share = at::where(begins, scalar(1), scalar(1 - config_.decay));
  for (size_t i = 0; i < average_.size(); ++i) {
    // A share of zero would not do for a skipped step: zero times a weight that is not finite.
    const at::Tensor towards = at::where(skip, average_[i], model_[i].second);
    if (towards.is_floating_point()) {
      average_[i].lerp_(towards, share);
    } else {
      average_[i].copy_(towards);
    }
  }
}

NamedTensors Ema::average() {
  prepare();
  NamedTensors named;
  for (size_t i = 0; i < model_.size(); ++i) named.emplace_back(model_[i].first, average_[i]);
  return named;
}

NamedTensors Ema::state() {
  prepare();
  return {{"ema.updates", updates_}};
}

void Ema::exchange() {
  prepare();
  for (size_t i = 0; i < model_.size(); ++i) {
    const at::Tensor weight = model_[i].second.detach();
    model_[i].second.set_data(average_[i]);
    average_[i] = weight;
  }
}

}  // namespace mcloss
