// Optimizers, clipping, groups without weight decay, a frozen backbone and the average of the
// weights against PyTorch's over 20 steps (test/fixtures/make_optim.py); and what of them takes
// memory when.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <map>

#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "train/step/ema.h"
#include "train/step/optimizer.h"

namespace test {
namespace {

using mcloss::NamedTensors;
using mcloss::OptimConfig;
using mcloss::OptimizerKind;

constexpr int weights_count = 5, backbone_count = 3, frozen_steps = 6;  // as make_optim.py

struct OptimCase {
  const char* name;
  OptimConfig config;
  int frozen = 0;
};

OptimConfig sgd_config(double momentum = 0.9) {
  OptimConfig config;
  config.momentum = momentum;
  config.weight_decay = 0.05;
  config.head_lr_scale = 3;
  return config;
}

OptimConfig adamw_config() {
  OptimConfig config = sgd_config();
  config.kind = OptimizerKind::adamw;
  return config;
}

std::vector<OptimCase> optim_cases() {
  std::vector<OptimCase> cases{{"sgd", sgd_config()}, {"sgd-plain", sgd_config(0)}};
  OptimConfig nesterov = sgd_config();
  nesterov.nesterov = true;
  nesterov.decay_norm_and_bias = false;
  cases.push_back({"sgd-nesterov-groups", nesterov});
  OptimConfig clipped = sgd_config();
  clipped.clip_grad_norm = 0.7;
  cases.push_back({"sgd-clipped", clipped});
  cases.push_back({"sgd-frozen", sgd_config(), frozen_steps});
  cases.push_back({"adamw", adamw_config()});
  OptimConfig groups = adamw_config();
  groups.betas = {0.8, 0.95};
  groups.eps = 1e-3;
  groups.decay_norm_and_bias = false;
  cases.push_back({"adamw-groups", groups});
  clipped.kind = OptimizerKind::adamw;
  cases.push_back({"adamw-clipped-frozen", clipped, frozen_steps});
  OptimConfig average = sgd_config();
  average.ema.decay = 0.9;
  cases.push_back({"ema", average});
  average.ema = {0.8, 4};
  cases.push_back({"ema-warm-up", average});
  return cases;
}

// The whole of a step but its gradients.
void optim_case(const OptimCase& given, const std::map<std::string, at::Tensor>& fixture,
                const at::TensorOptions& options, double tolerance) {
  const OptimConfig& config = given.config;
  NamedTensors model, backbone, head;
  for (int n = 0; n < weights_count; ++n) {
    const std::string name = "weight." + std::to_string(n);
    const at::Tensor weight = fixture.at(name).to(options).clone().requires_grad_(true);
    model.emplace_back(name, weight);
    (n < backbone_count ? backbone : head).emplace_back(name, weight);
  }
  const at::Tensor statistic = at::zeros({6}, options);
  const at::Tensor counter = at::zeros({}, options.dtype(at::kLong));
  model.emplace_back("statistic", statistic);
  model.emplace_back("counter", counter);

  const auto optimizer = mcloss::make_optimizer(config, backbone, head);
  mcloss::Ema ema(config.ema, model);
  optimizer->prepare();
  ema.prepare();
  const int64_t steps = fixture.at("rates").size(0);
  for (int step = 0; step < steps; ++step) {
    const bool skipped = (fixture.at("skipped") == step).any().item<bool>();
    const bool frozen = step < given.frozen;
    if (given.frozen > 0 && (step == 0 || step == given.frozen)) {
      optimizer->freeze_backbone(frozen);
    }
    optimizer->zero_grad();
    for (int n = frozen ? backbone_count : 0; n < weights_count; ++n) {
      const std::string name = "gradient." + std::to_string(n) + "." + std::to_string(step);
      model[n].second.mutable_grad() = fixture.at(name).to(options).clone();
    }
    optimizer->set_lr(fixture.at("rates")[step].item<double>());
    if (config.clip_grad_norm > 0) optimizer->clip_gradients(optimizer->gradient_norm());
    const at::Tensor skip = at::full({}, skipped, options.dtype(at::kBool));
    optimizer->step(skip.to(at::kFloat));
    if (!skipped) {
      statistic.copy_(fixture.at("statistic." + std::to_string(step)));
      counter.add_(1);
    }
    if (config.ema.decay > 0) ema.update(skip);
  }
  const auto compare = [&](const std::string& what) {
    for (int n = 0; n <= weights_count; ++n) {
      check_close(model[n].second.detach(),
                  fixture.at(std::string(given.name) + "." + std::to_string(n)), tolerance,
                  what + ", tensor " + std::to_string(n));
    }
  };
  if (config.ema.decay == 0) return compare(given.name);
  const at::Tensor raw = model[0].second.detach().clone();
  {
    const mcloss::Ema::Lent lent(ema);
    compare(given.name);
    check(counter.item<int64_t>() == steps - 1, "ema: counters are copied");
  }
  check(model[0].second.equal(raw), "ema: the weights are back");
  check(model[0].second.requires_grad(), "ema: they still train");
}

// Counts what the thread allocates.
class Allocated : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    if (bytes > 0) total += bytes;
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t total = 0;
};

void state_is_made_late() {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    OptimConfig config;
    config.kind = kind;
    config.ema.decay = 0.9;
    const NamedTensors backbone{{"a", at::zeros({1000, 1000})}}, head{{"b", at::zeros({1000})}};
    const int64_t model = 4 * (1000 * 1000 + 1000);
    const auto allocated = std::make_shared<Allocated>();
    const c10::DebugInfoGuard counting(c10::DebugInfoKind::PROFILER_STATE, allocated);
    const auto optimizer = mcloss::make_optimizer(config, backbone, head);
    mcloss::Ema ema(config.ema, {backbone.front(), head.front()});
    check(allocated->total < model / 100, "optimizer and ema: made without their tensors");
    optimizer->prepare();
    const int64_t moments = (kind == OptimizerKind::sgd ? 1 : 2) * model;
    check(allocated->total >= moments, "optimizer: prepared");
    const int64_t before = allocated->total;
    check(before < moments + model / 100, "optimizer: nothing more");
    ema.prepare();
    check(allocated->total >= before + model, "ema: prepared");
    const int64_t all = allocated->total;
    optimizer->prepare();
    ema.prepare();
    check(allocated->total == all, "optimizer and ema: prepared once");
    for (const auto& [name, tensor] : optimizer->state()) {
      check(tensor.eq(0).all().item<bool>(), "optimizer: " + name + " begins at zero");
    }
  }
}

}  // namespace

void optimizers(const std::string& folder) {
  const FixtureFile file = read_fixture(folder + "/steps.safetensors");
  const std::map<std::string, at::Tensor> fixture(file.tensors.begin(), file.tensors.end());
  for (const OptimCase& given : optim_cases()) {
    const std::string name = std::string("optimizer: ") + given.name;
    test_case(name, [&] { optim_case(given, fixture, at::kDouble, 1e-12); });
    for (const at::DeviceType device : devices()) {
      const at::TensorOptions options = at::device(device).dtype(at::kFloat);
      test_case(name + ", float32", [&] { optim_case(given, fixture, options, 1e-6); });
    }
  }
  test_case("optimizer: state", state_is_made_late);
}

}  // namespace test
