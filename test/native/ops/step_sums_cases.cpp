// step_sums against LibTorch's operators on single numbers: argmax, isfinite, sums in float64.
#include "ops/step_sums.h"

#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "cases.h"
#include "check.h"

namespace test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::Tensor scalar(double value, at::Device device) {
  return at::full({}, value, at::device(device).dtype(at::kFloat));
}

// Three micro-batches of a step. Logits of few values tie often; some are NaN and infinite.
void steps(at::Device device) {
  const int64_t classes = 70;
  const at::Tensor sums = at::zeros({mcloss::kStepSums + 2}, at::device(device).dtype(at::kDouble));
  const at::Tensor step = at::full_like(sums, 7);  // of the step before
  at::Tensor expected = at::zeros_like(sums, at::kCPU);
  for (const double norm : {0.5, kInfinity, 3.0, std::nan(""), 1e-30}) {
    at::Tensor own = at::zeros_like(expected);
    bool first = true;
    for (const int64_t n : {19, 1, 40}) {
      at::Tensor logits = at::randint(-3, 4, {n, classes}, at::kFloat) / 3;
      logits[0][classes - 1] = logits[n / 2][3] = NAN;
      if (n > 5) logits[5][9] = kInfinity;
      at::Tensor target = at::randint(0, classes, {n}, at::kLong);
      target.slice(0, 0, n, 2) = logits.argmax(1).slice(0, 0, n, 2);
      const double loss = 0.1 * static_cast<double>(n), part = 1.7;
      const std::vector<at::Tensor> means{scalar(loss, device), scalar(part, device),
                                          scalar(-1, device)};
      mcloss::add_batch_sums(step, logits.to(device), target.to(device), means, first);
      const auto count = static_cast<double>(n);
      own[0] += count * static_cast<float>(loss);
      own[1] += logits.argmax(1).eq(target).sum();
      own[2] += count;
      own[5] += count * static_cast<float>(part);
      own[6] -= count;
      first = false;
    }
    own[3] = static_cast<float>(norm);
    const bool skip = !std::isfinite(norm);
    const auto verdict = mcloss::add_step_sums(sums, step, scalar(norm, device));
    check(verdict.skip.item<bool>() == skip, "the step is skipped if its norm is not finite");
    check(verdict.found_inf.scalar_type() == at::kFloat &&
              verdict.found_inf.item<float>() == (skip ? 1 : 0),
          "the same in float32");
    if (skip) {
      expected[4] += 1;
    } else {
      expected += own;
    }
    check(sums.cpu().equal(expected), "sums: the same bits");
  }
  mcloss::add_batch_sums(step, at::zeros({2, 3}, sums.options().dtype(at::kFloat)),
                         at::zeros({2}, sums.options().dtype(at::kLong)),
                         {scalar(NAN, device), scalar(1, device), scalar(1, device)}, true);
  check(mcloss::add_step_sums(sums, step, scalar(1, device)).skip.item<bool>(),
        "skipped if its loss is not finite");
}

void refusals() {
  const at::Tensor logits = at::zeros({2, 3}), target = at::zeros({2}, at::kLong);
  for (const int64_t count : {0, 2, 9}) {
    const std::vector<at::Tensor> means(static_cast<size_t>(count), at::zeros({}));
    check_error("E_ARGUMENT", c10::str(count, " and 5 sums"), [&] {
      mcloss::add_batch_sums(at::zeros({mcloss::kStepSums}, at::kDouble), logits, target, means,
                             true);
    });
  }
}

}  // namespace

void step_sums() {
  for (const at::DeviceType device : devices()) test_case("step_sums", [&] { steps(device); });
  test_case("step_sums: refusals", refusals);
}

}  // namespace test
