// The operators of step_sums; the work: step_sums/cpu.cpp and cuda.cu.
#include "ops/step_sums.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "ops/operator.h"

namespace mcloss {
namespace {

// Shapes without values, for tracing.
void add_batch_sums_meta(at::Tensor&, const at::Tensor&, const at::Tensor&, at::TensorList, bool) {}

std::tuple<at::Tensor, at::Tensor> add_step_sums_meta(at::Tensor& sums, const at::Tensor&,
                                                      const at::Tensor&) {
  return {at::empty({}, sums.options().dtype(at::kBool)),
          at::empty({}, sums.options().dtype(at::kFloat))};
}

TORCH_LIBRARY_FRAGMENT(mcloss, m) {
  // All contiguous.
  m.def(
      "add_batch_sums_(Tensor(a!) step, Tensor logits, Tensor target, Tensor[] means, bool first) "
      "-> ()");
  m.def(
      "add_step_sums_(Tensor(a!) sums, Tensor step, Tensor grad_norm) -> (Tensor skip, "
      "Tensor found_inf)");
}

TORCH_LIBRARY_IMPL(mcloss, Meta, m) {
  m.impl("add_batch_sums_", &add_batch_sums_meta);
  m.impl("add_step_sums_", &add_step_sums_meta);
}

}  // namespace

void add_batch_sums(at::Tensor step, const at::Tensor& logits, const at::Tensor& target,
                    at::TensorList means, bool first) {
  static const auto op =
      find_operator<void(at::Tensor&, const at::Tensor&, const at::Tensor&, at::TensorList, bool)>(
          "mcloss::add_batch_sums_");
  const auto count = static_cast<int64_t>(means.size());
  if (count < 1 || count > kMostBatchMeans || step.numel() != kStepSums + count - 1) {
    refuse("step_sums",
           c10::str("1..", kMostBatchMeans, " means and a sum for each, with ", kStepSums - 1,
                    " others"),
           c10::str(count, " and ", step.numel(), " sums"));
  }
  op.call(step, logits.contiguous(), target.contiguous(), means, first);
}

StepVerdict add_step_sums(at::Tensor sums, const at::Tensor& step, const at::Tensor& grad_norm) {
  static const auto op = find_operator<std::tuple<at::Tensor, at::Tensor>(
      at::Tensor&, const at::Tensor&, const at::Tensor&)>("mcloss::add_step_sums_");
  const auto [skip, found_inf] = op.call(sums, step, grad_norm);
  return {skip, found_inf};
}

}  // namespace mcloss
