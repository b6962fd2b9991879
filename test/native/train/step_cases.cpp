// Parts of the training step: SGD against LibTorch's own with the rate as a number and against its
// formula; when a step runs as it is, is recorded, is replayed (with a closure for a recording); what
// the settings make LibTorch do.
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <stdexcept>

#include "cases.h"
#include "check.h"
#include "train/device/run_settings.h"
#include "train/device/warnings.h"
#include "train/step/graphed_step.h"
#include "train/step/optimizer.h"
#include "transfers.h"

namespace test {
namespace {

using mcloss::GraphedStep;
using mcloss::StepBatch;

// Values without a pattern that rounding could hide behind.
at::Tensor values(int64_t count, int64_t salt) {
  at::Tensor tensor = at::zeros({count});
  float* data = tensor.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    data[i] = static_cast<float>((i * 7919 + salt * 104729) % 10007) / 10007.0f - 0.5f;
  }
  return tensor;
}

// 1,003 elements: the last ones do not fill a vector.
void sgd() {
  const double momentum = 0.9, decay = 5e-4, head_scale = 3;
  for (const bool nesterov : {false, true}) {
    std::vector<at::Tensor> own{values(1003, 1), values(5, 2)}, theirs, velocities, plain, speed;
    for (at::Tensor& each : own) {
      theirs.push_back(each.clone());
      velocities.push_back(at::zeros_like(each));
      plain.push_back(each.to(at::kDouble));
      speed.push_back(at::zeros_like(plain.back()));
      each.requires_grad_(true);
    }
    mcloss::OptimConfig config;
    config.nesterov = nesterov;
    config.weight_decay = decay;
    config.head_lr_scale = head_scale;
    const auto optimizer = mcloss::make_sgd(config, {{"a", own[0]}}, {{"b", own[1]}});
    optimizer->prepare();
    for (int64_t step = 0; step < 6; ++step) {
      const double lr = 0.1 / static_cast<double>(step + 3);
      const bool skipped = step == 3;
      const at::Tensor found_inf = at::full({}, skipped ? 1.0 : 0.0, at::kFloat);
      for (size_t i = 0; i < own.size(); ++i) {
        const double rate = i == 0 ? lr : lr * head_scale;
        const at::Tensor gradient = values(own[i].numel(), 10 + step);
        own[i].mutable_grad() = gradient;
        at::_fused_sgd_({theirs[i]}, {gradient.clone()}, {velocities[i]}, decay, momentum, rate, 0,
                        nesterov, false, false, {}, found_inf);
        if (skipped) continue;
        const at::Tensor g = gradient.to(at::kDouble) + plain[i] * decay;
        speed[i] = speed[i] * momentum + g;
        plain[i] = plain[i] - (nesterov ? g + speed[i] * momentum : speed[i]) * rate;
      }
      optimizer->set_lr(lr);
      optimizer->step(found_inf);
    }
    for (size_t i = 0; i < own.size(); ++i) {
      check(own[i].detach().equal(theirs[i]), "sgd: the same bits with the rate as a tensor");
      check_close(own[i].detach(), plain[i], 1e-6, "sgd: its formula");
    }
  }
}

// Records by keeping the closure; a replay calls it.
class ClosureGraph : public mcloss::StepGraph {
 public:
  void record(const std::function<void()>& step) override {
    if (refuses) throw std::runtime_error("an operator waits for the device");
    step_ = step;
    ++recordings;
  }
  void replay() override {
    step_();
    ++replays;
  }
  void forget() override { step_ = {}; }
  static inline int recordings = 0, replays = 0;
  static inline bool refuses = false;

 private:
  std::function<void()> step_;
};

void graphed_step(bool refuses) {
  ClosureGraph::recordings = ClosureGraph::replays = 0;
  ClosureGraph::refuses = refuses;
  GraphedStep graphed(std::make_unique<ClosureGraph>());
  at::Tensor sum = at::zeros({}, at::kDouble);
  int reasons = 0, parts = 0;
  double expected = 0;
  const auto run = [&](int64_t count, int64_t micro_batch, double value) {
    const StepBatch batch{(at::arange(count) + value).view({count, 1, 1, 1}),
                          at::full({count}, 2, at::kLong), micro_batch};
    // `update` is what outlives this call in a recording, so it refers to nothing inside it.
    const auto update = [&sum, &parts](const StepBatch& of) {
      const int64_t total = of.input.size(0);
      for (int64_t first = 0; first < total; first += of.micro_batch) {
        const int64_t size = std::min(of.micro_batch, total - first);
        sum += of.input.narrow(0, first, size).sum() + of.target.narrow(0, first, size).sum();
        ++parts;
      }
    };
    const std::string reason = graphed.run(batch, update);
    if (!reason.empty()) {
      ++reasons;
      check(reason.find("waits") != std::string::npos, "graph: the reason is told");
    }
  };
  for (int step = 0; step < 8; ++step) {
    run(5, 2, step);  // three parts
    expected += 0 + 1 + 2 + 3 + 4 + 5 * step + 5 * 2;
    run(2, 2, 0.5 * step);  // another shape in between
    expected += 0 + 1 + 2 * 0.5 * step + 2 * 2;
  }
  check(sum.item<double>() == expected, "graph: every step counts once, with its own batch");
  check(parts == 8 * 3 + 8, "graph: every step runs once");
  check(ClosureGraph::recordings == (refuses ? 0 : 1), "graph: recorded once");
  check(ClosureGraph::replays == (refuses ? 0 : 5), "graph: three steps warm up, five are replays");
  check(reasons == (refuses ? 1 : 0), "graph: refused once, told once");
}

// After forget() no step is a replay of the work before it.
void forgotten_step() {
  ClosureGraph::recordings = ClosureGraph::replays = 0;
  ClosureGraph::refuses = false;
  GraphedStep graphed(std::make_unique<ClosureGraph>());
  std::vector<int> done;
  const auto run = [&](int work, int times) {
    const StepBatch batch{at::zeros({2, 1, 1, 1}), at::zeros({2}, at::kLong), 2};
    for (int i = 0; i < times; ++i) {
      graphed.run(batch, [&done, work](const StepBatch&) { done.push_back(work); });
    }
  };
  run(1, 2);
  graphed.forget();  // while it warms up
  run(2, 6);
  graphed.forget();
  run(3, 6);
  check(done == std::vector<int>{1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3},
        "graph: every step does its own work");
  check(ClosureGraph::recordings == 2, "graph: recorded anew");
  check(ClosureGraph::replays == 2 * 3, "graph: warmed up anew");
}

// A batch in the memory that the recording reads is not copied there.
void batch_in_place() {
  ClosureGraph::recordings = ClosureGraph::replays = 0;
  ClosureGraph::refuses = false;
  GraphedStep graphed(std::make_unique<ClosureGraph>());
  double seen = 0;
  const auto run = [&](const StepBatch& batch) {
    graphed.run(batch, [&seen](const StepBatch& of) { seen = of.input.sum().item<double>(); });
  };
  const StepBatch batch{at::full({2, 1, 1, 1}, 3.0), at::zeros({2}, at::kLong), 2};
  for (int step = 0; step < 4; ++step) {
    check(!graphed.memory_of(2, 2).input.defined(), "graph: no memory before it is recorded");
    run(batch);
  }
  const StepBatch memory = graphed.memory_of(2, 2);
  check(memory.input.defined() && !graphed.memory_of(2, 1).input.defined(),
        "graph: memory for a step of its shape alone");
  memory.input.fill_(7);
  const Transfers transfers;
  run(memory);
  check(seen == 14 && ClosureGraph::replays == 2, "graph: the replay reads what was written there");
  check(Transfers::seen.on_host == 0, "graph: without a copy");
  graphed.forget();
  check(!graphed.memory_of(2, 2).input.defined(), "graph: forgotten with the recording");
}

// A profiled step is neither recorded nor replayed, nor counted as one that warms up.
void steps_as_they_are() {
  ClosureGraph::recordings = ClosureGraph::replays = 0;
  ClosureGraph::refuses = false;
  GraphedStep graphed(std::make_unique<ClosureGraph>());
  const StepBatch batch{at::zeros({2, 1, 1, 1}), at::zeros({2}, at::kLong), 2};
  int done = 0;
  const auto run = [&](bool as_it_is) {
    graphed.run(batch, [&done](const StepBatch&) { ++done; }, as_it_is);
  };
  for (int step = 0; step < 3; ++step) run(false);
  run(true);  // where the recording would be made
  check(done == 4 && ClosureGraph::recordings == 0, "graph: not recorded as it is");
  run(false);
  check(done == 5 && ClosureGraph::recordings == 1, "graph: recorded after it");
  run(true);
  check(done == 6 && ClosureGraph::replays == 1, "graph: not replayed as it is");
  run(false);
  check(done == 7 && ClosureGraph::replays == 2, "graph: replayed after it");
}

void settings() {
  const at::Context& context = at::globalContext();
  mcloss::apply_settings({.cudnn_benchmark = true, .tf32 = false, .deterministic = true});
  check(context.deterministicAlgorithms() && context.deterministicCuDNN(),
        "deterministic is asked for");
  check(!context.benchmarkCuDNN(), "deterministic turns the timing of algorithms off");
  mcloss::Warnings warnings;
  {
    const c10::WarningUtils::WarningHandlerGuard collected(&warnings);
    for (int i = 0; i < 2; ++i) at::Context::alertNotDeterministic("some_operator");
  }
  const std::vector<std::string> told = warnings.take();
  check(told.size() == 1 && told[0].find("some_operator") != std::string::npos,
        "an operator without a deterministic form: told once, not printed, not refused");
  check(warnings.take().empty(), "warnings: taken once");

  mcloss::apply_settings({.cudnn_benchmark = true, .tf32 = true, .deterministic = false});
  check(!context.deterministicAlgorithms() && context.benchmarkCuDNN(), "the settings are back");
}

}  // namespace

void step() {
  test_case("step: settings", settings);
  test_case("step: sgd", sgd);
  test_case("step: recorded", [] { graphed_step(false); });
  test_case("step: recorded anew", forgotten_step);
  test_case("step: as it is", steps_as_they_are);
  test_case("step: batch in place", batch_in_place);
  test_case("step: recording refused", [] { graphed_step(true); });
}

}  // namespace test
