// step_sums on the CPU.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "ops/step_sums/sums.h"

namespace mcloss {
namespace {

bool is_first_of_largest(const float* row, int64_t classes, int64_t target) {
  if (target < 0 || target >= classes) return false;
  for (int64_t i = 0; i < classes; ++i) {
    if (i != target && comes_before(row[i], i, row[target], target)) return false;
  }
  return true;
}

void add_batch_sums_cpu(at::Tensor& step, const at::Tensor& logits, const at::Tensor& target,
                        at::TensorList given, bool first) {
  const float* const values = logits.const_data_ptr<float>();
  const int64_t* const targets = target.const_data_ptr<int64_t>();
  const int64_t n = logits.size(0), classes = logits.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < n; ++i) {
    correct += is_first_of_largest(values + i * classes, classes, targets[i]);
  }
  BatchMeans means{};
  for (const at::Tensor& mean : given) means.mean[means.count++] = mean.const_data_ptr<float>();
  add_batch(means, static_cast<double>(correct), static_cast<double>(n), first,
            step.data_ptr<double>());
}

std::tuple<at::Tensor, at::Tensor> add_step_sums_cpu(at::Tensor& sums, const at::Tensor& step,
                                                     const at::Tensor& grad_norm) {
  const double* const own = step.const_data_ptr<double>();
  const float norm = *grad_norm.const_data_ptr<float>();
  double* const all = sums.data_ptr<double>();
  const bool skip = is_skipped(own, norm);
  for (int64_t i = 0; i < sums.numel(); ++i) all[i] += added(own, norm, skip, i);
  const at::Tensor skipped = at::empty({}, at::kBool), found_inf = at::empty({}, at::kFloat);
  *skipped.data_ptr<bool>() = skip;
  *found_inf.data_ptr<float>() = skip ? 1 : 0;
  return {skipped, found_inf};
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("add_batch_sums_", &add_batch_sums_cpu);
  m.impl("add_step_sums_", &add_step_sums_cpu);
}

}  // namespace
}  // namespace mcloss
