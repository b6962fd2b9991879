// The losses where JavaScript does not reach: in float32 on each device, under autocast, the sums
// of center's centres, what is refused. The values are the matter of the tests beside this file.
#include <ATen/autocast_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>

#include "cases.h"
#include "check.h"
#include "losses/loss.h"
#include "models/last_layer.h"

namespace test {
namespace {

using mcloss::ClassifierConfig;
using mcloss::ClassifierKind;
using mcloss::LossConfig;
using mcloss::ModelConfig;

using Options = std::map<std::string, LossConfig::Value>;

struct Sample {
  at::Tensor x, rows;  // [N, D], [K, D]
  at::Tensor target;   // [N]

  int64_t classes() const { return rows.size(0); }
};

at::Tensor matrix(std::vector<double> values, int64_t columns) {
  return at::tensor(values, at::kDouble).view({-1, columns});
}

Sample example() {
  return {matrix({3, 4, -4, 3, -4, 3}, 2), matrix({2, 0, 0, 1, -3, 0}, 2),
          at::tensor({0, 0, 2}, at::kLong)};
}

// Values without a pattern, 7 samples of 5 values in 4 classes.
Sample another() {
  return {at::sin(at::arange(1, 36, at::kDouble) * 7.3).view({7, 5}) * 2,
          at::sin(at::arange(1, 21, at::kDouble) * 3.1).view({4, 5}),
          at::tensor({0, 3, 1, 1, 3, 2, 1}, at::kLong)};
}

std::shared_ptr<mcloss::Loss> loss_of(const std::string& name, const Options& options,
                                      const ClassifierConfig& classifier, const Sample& sample) {
  ModelConfig model;
  model.backbone = "none";
  model.num_classes = sample.classes();
  model.classifier = classifier;
  return mcloss::make_loss({name, options}, {model, 1, 1, sample.x.size(1)});
}

mcloss::LossInput input_of(const Sample& sample, const at::Tensor& x, const at::Tensor& logits) {
  mcloss::LossInput input;
  input.embedding = x;
  input.logits = logits;
  input.target = sample.target;
  input.scalar = at::full({}, .25, x.options().dtype(at::kFloat).requires_grad(false));
  return input;
}

struct Result {
  mcloss::LossOutput output;
  at::Tensor logits, x_grad, rows_grad;
};

// part: what the gradients are of; empty: the whole loss.
Result run(mcloss::Loss& loss, const ClassifierConfig& classifier, const Sample& sample,
           const std::string& part = "") {
  mcloss::LastLayer layer(classifier, sample.x.size(1), sample.classes());
  layer.to(sample.x.device(), sample.x.scalar_type());
  {
    const c10::NoGradGuard no_grad;
    layer.rows.copy_(sample.rows);
    if (layer.bias.defined()) layer.bias.zero_();
  }
  const at::Tensor x = sample.x.detach().clone().requires_grad_(true);
  Result result;
  result.logits = layer.forward(x);
  result.output = loss.forward(input_of(sample, x, result.logits));
  at::Tensor root = result.output.loss;
  for (const auto& [name, value] : result.output.parts) {
    if (name == part) root = value;
  }
  root.backward();
  result.x_grad = x.grad();
  result.rows_grad = layer.rows.grad();
  return result;
}

const ClassifierConfig linear, distance{ClassifierKind::distance, 0},
    norm{ClassifierKind::cosine, 0};
ClassifierConfig cosine(double scale) { return {ClassifierKind::cosine, scale}; }

// Every loss but mc, with the classifier it needs.
struct Kind {
  std::string name;
  Options options;
  ClassifierConfig classifier;
};

const std::vector<Kind> kinds{
    {"a-softmax", {{"margin", 4.0}}, norm},
    {"arcface", {{"scale", 64.0}, {"margin", .3}}, cosine(64)},
    {"center", {{"weight", .5}, {"centerRate", .5}}, linear},
    {"coco", {{"scale", 64.0}}, cosine(64)},
    {"cosine-loss", {}, linear},
    {"cross-entropy", {{"labelSmoothing", .1}}, linear},
    {"focal", {{"gamma", 2.0}}, linear},
    {"lgm", {{"alpha", .3}, {"lambda", .1}}, distance},
    {"lmcl", {{"scale", 64.0}, {"margin", .35}}, cosine(64)},
    {"max-entropy", {{"gamma", 1.0}}, linear},
};

// The values are those of the tests in TypeScript, which the CPU in float64 gives.
void as_on_the_cpu(at::DeviceType device) {
  const Sample exact = another();
  Sample sample = exact;
  sample.x = sample.x.to(device, at::kFloat);
  sample.target = sample.target.to(device);
  for (const Kind& kind : kinds) {
    const auto loss = loss_of(kind.name, kind.options, kind.classifier, sample);
    loss->to(device);
    const Result result = run(*loss, kind.classifier, sample);
    const Result expected =
        run(*loss_of(kind.name, kind.options, kind.classifier, exact), kind.classifier, exact);
    check_close(result.output.loss.detach(), expected.output.loss.detach(), 3e-5, kind.name);
    check_close(result.x_grad, expected.x_grad, 3e-5, kind.name + ": gradient of x");
    check_close(result.rows_grad, expected.rows_grad, 3e-5, kind.name + ": gradient of W");
  }
}

void center(at::DeviceType device, at::ScalarType dtype) {
  const double tolerance = dtype == at::kDouble ? 1e-10 : 1e-6;
  Sample sample = example();
  sample.x = sample.x.to(device, dtype);
  sample.target = sample.target.to(device);
  const auto loss = loss_of("center", {{"weight", 1.0}, {"centerRate", .5}}, linear, sample);
  loss->to(device, dtype);
  const at::Tensor centres = loss->named_buffers()["centres"];
  check(centres.count_nonzero().item<int64_t>() == 0, "center: the centres start at 0");
  centres.copy_(sample.rows);

  const Result result = run(*loss, linear, sample, "center");
  const auto& [ce, l_c] = std::pair(result.output.parts[0], result.output.parts[1]);
  check(ce.first == "ce" && l_c.first == "center", "center: its parts");
  check_close(l_c.second.detach(), at::full({}, 12, at::kDouble), tolerance, "center: L_c");
  check_close(ce.second.detach(), at::full({}, 6.7090583630, at::kDouble), tolerance, "center: ce");
  check_close(result.output.loss.detach(), (ce.second + l_c.second).detach().cpu(), tolerance,
              "center: their sum");
  check_close(result.x_grad, matrix({1 / 3., 4 / 3., -2, 1, -1 / 3., 1}, 2), tolerance,
              "center: gradient of x");

  // Two micro-batches give the same sums as the whole batch.
  Sample one = sample, two = sample;
  one.x = sample.x.narrow(0, 0, 1), one.target = sample.target.narrow(0, 0, 1);
  two.x = sample.x.narrow(0, 1, 2), two.target = sample.target.narrow(0, 1, 2);
  const at::Tensor sums = result.output.buffer_sums;
  check(sums.sizes() == at::IntArrayRef{3 * 3} && !sums.requires_grad(), "center: flat sums");
  check_close(
      run(*loss, linear, one).output.buffer_sums + run(*loss, linear, two).output.buffer_sums,
      sums.cpu(), tolerance, "center: sums of micro-batches");

  loss->update_buffers(sums);
  check_close(centres, matrix({7 / 6., 7 / 6., 0, 1, -3.25, .75}, 2), tolerance,
              "center: the centres after a step");
  check_close(run(*loss, linear, sample).output.parts[1].second.detach(),
              at::full({}, 7.8449074074, at::kDouble), tolerance, "center: L_c after a step");
}

// Of bf16 embeddings: the logits but linear ones, and every loss of the logits, are float32 to the
// bit. In bf16 a cosine times 64 would be off by 0.04.
void under_autocast() {
  const c10::NoGradGuard no_grad;
  const auto with_autocast = [](const auto& function) {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    const auto result = function();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    return result;
  };
  const Sample sample = another();
  for (const Kind& kind : kinds) {
    const mcloss::LastLayer layer(kind.classifier, 5, 4);
    const at::Tensor rows = layer.rows;
    rows.copy_(sample.rows);
    if (at::Tensor bias = layer.bias; bias.defined()) bias.zero_();
    const at::Tensor x = sample.x.to(at::kBFloat16);
    const at::Tensor alone = layer.forward(x.to(at::kFloat));
    if (kind.classifier.kind != ClassifierKind::linear) {
      const at::Tensor logits = with_autocast([&] { return layer.forward(x); });
      check(logits.scalar_type() == at::kFloat && logits.equal(alone),
            kind.name + ", autocast: float32 logits");
    }
    const auto loss = loss_of(kind.name, kind.options, kind.classifier, sample);
    const auto forward = [&](const at::Tensor& embedding) {
      return loss->forward(input_of(sample, embedding, alone)).loss;
    };
    const at::Tensor value = with_autocast([&] { return forward(x); });
    check(value.scalar_type() == at::kFloat && value.equal(forward(x.to(at::kFloat))),
          kind.name + ", autocast: a float32 loss");
  }
}

void refusals() {
  const Sample sample = example();
  const auto make = [&](const std::string& name, const Options& options,
                        const ClassifierConfig& classifier) {
    return [=] { loss_of(name, options, classifier, sample); };
  };
  const Options lmcl{{"scale", 4.0}, {"margin", .35}};
  check_error("E_CONFIG", "center, coco, cosine-loss", make("triplet", {}, linear));
  check_error("E_CONFIG", "linear", make("lmcl", lmcl, linear));
  check_error("E_CONFIG", "norm", make("lmcl", lmcl, norm));
  check_error("E_CONFIG", "scale: 5", make("lmcl", lmcl, cosine(5)));
  for (const Kind& kind : kinds) {
    if (kind.classifier.kind == ClassifierKind::linear) continue;
    check_error("E_CONFIG", kind.name, make(kind.name, kind.options, linear));
  }
  check_error("E_ARGUMENT", "nothing", make("lmcl", {{"scale", 4.0}}, cosine(4)));
  check_error("E_ARGUMENT", "labelSmoothing",
              make("cross-entropy", {{"labelSmoothing", 1.0}}, linear));
  check_error("E_ARGUMENT", "true", make("cross-entropy", {{"labelSmoothing", true}}, linear));
  check_error("E_ARGUMENT", "smoothing", make("cross-entropy", {{"smoothing", .1}}, linear));
  check_error("E_ARGUMENT", "centerRate",
              make("center", {{"weight", 1.0}, {"centerRate", 0.0}}, linear));
}

}  // namespace

void losses() {
  for (const at::DeviceType device : devices()) {
    test_case(c10::str("losses: as on the CPU, ", device), [&] { as_on_the_cpu(device); });
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const std::string where = c10::str(" ", device, " ", dtype);
      test_case("losses: center" + where, [&] { center(device, dtype); });
    }
  }
  test_case("losses: under autocast", under_autocast);
  test_case("losses: refusals", refusals);
}

}  // namespace test
