// The last layer's three kinds and the losses: an example computed in Python in float64 (value and both
// gradients), identities on other input, rows of zeros, what is refused.
#include <ATen/autocast_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

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

struct Result {
  mcloss::LossOutput output;
  at::Tensor logits, x_grad, rows_grad;
};

// divisor: of the logits. part: what the gradients are of; empty: the whole loss.
Result run(mcloss::Loss& loss, const ClassifierConfig& classifier, const Sample& sample,
           double divisor = 1, const std::string& part = "") {
  mcloss::LastLayer layer(classifier, sample.x.size(1), sample.classes());
  layer.to(sample.x.device(), sample.x.scalar_type());
  {
    const c10::NoGradGuard no_grad;
    layer.rows.copy_(sample.rows);
    if (layer.bias.defined()) layer.bias.zero_();
  }
  const at::Tensor x = sample.x.detach().clone().requires_grad_(true);
  Result result;
  result.logits = layer.forward(x) / divisor;
  mcloss::LossInput input;
  input.embedding = x;
  input.logits = result.logits;
  input.target = sample.target;
  result.output = loss.forward(input);
  at::Tensor root = result.output.loss;
  for (const auto& [name, value] : result.output.parts) {
    if (name == part) root = value;
  }
  root.backward();
  result.x_grad = x.grad();
  result.rows_grad = layer.rows.grad();
  return result;
}

struct Golden {
  std::string what, loss;
  Options options;
  ClassifierConfig classifier;
  double divisor, value;
  std::vector<double> x_grad;     // rows 0 and 1
  std::vector<double> rows_grad;  // all rows
};

const ClassifierConfig linear, distance{ClassifierKind::distance, 0},
    norm{ClassifierKind::cosine, 0};
ClassifierConfig cosine(double scale) { return {ClassifierKind::cosine, scale}; }

const std::vector<Golden> goldens{
    {"cross entropy",
     "cross-entropy",
     {},
     linear,
     1,
     6.7090583630,
     {-.07946904, .03973430, -1.66654327, .00004113},
     {1.21413017, -1.15893754, .11887384, .15918398, -1.33300401, .99975357}},
    {"cross entropy of a fifth",
     "cross-entropy",
     {},
     linear,
     5,
     1.6265107983,
     {-.06160761, .02597978, -.30024402, .00931040},
     {.17468552, -.30544783, .00345613, .15978152, -.17814165, .14566631}},
    {"label smoothing 0.1",
     "cross-entropy",
     {{"labelSmoothing", .1}},
     linear,
     5,
     1.6598441317,
     {-.04605206, .02375756, -.28468847, .00708818},
     {.17912997, -.28100339, .01456724, .13755930, -.19369721, .14344409}},
    {"cosine, s 4",
     "cross-entropy",
     {},
     cosine(4),
     1,
     2.7727139103,
     {-.20641661, .15481246, -.12241394, -.16321859},
     {0, -.76749109, -.11005557, 0, 0, .10180320}},
    {"lmcl s 4 m 0",
     "lmcl",
     {{"scale", 4.0}, {"margin", 0.0}},
     cosine(4),
     1,
     2.7727139103,
     {-.20641661, .15481246, -.12241394, -.16321859},
     {0, -.76749109, -.11005557, 0, 0, .10180320}},
    {"lmcl s 4 m 0.35",
     "lmcl",
     {{"scale", 4.0}, {"margin", .35}},
     cosine(4),
     1,
     3.8398875925,
     {-.26911494, .20183620, -.12251965, -.16335953},
     {0, -.87924379, -.29985008, 0, 0, .01272083}},
    {"lmcl s 30 m 0.35",
     "lmcl",
     {{"scale", 30.0}, {"margin", .35}},
     cosine(30),
     1,
     26.5045078327,
     {-2.23999985, 1.67999989, -1.43584599, -1.91446132},
     {0, -6.99999973, -1.93188585, 0, 0, .01702864}},
    {"cosine times the length of x", "cross-entropy", {}, norm, 1, 3.3136473017, {}, {}},
    {"distance",
     "cross-entropy",
     {},
     distance,
     1,
     5.9958359156,
     {-.25169380, .12584689, -1.65997377, .00223095},
     {1.87415301, -1.50338752, .35969306, .38646446, -.32887138, .98661427}},
};

void golden_values(at::DeviceType device, at::ScalarType dtype) {
  // Of the 10 digits of a value and the 8 of a gradient that are given.
  const bool wide = dtype == at::kDouble;
  const double of_value = wide ? 1e-10 : 1e-6, of_gradient = wide ? 6e-9 : 1e-6;
  Sample sample = example();
  sample.x = sample.x.to(device, dtype);
  sample.target = sample.target.to(device);
  for (const Golden& golden : goldens) {
    const std::string what = golden.what + (wide ? ", double" : ", float");
    const auto loss = loss_of(golden.loss, golden.options, golden.classifier, sample);
    const Result result = run(*loss, golden.classifier, sample, golden.divisor);
    check_close(result.output.loss.detach(), at::full({}, golden.value, at::kDouble), of_value,
                what);
    if (golden.x_grad.empty()) continue;
    const double scale = wide ? 1 : 0;
    check_close(result.x_grad.narrow(0, 0, 2), matrix(golden.x_grad, 2), of_gradient,
                what + ": gradient of x", scale);
    check_close(result.rows_grad, matrix(golden.rows_grad, 2), of_gradient,
                what + ": gradient of W", scale);
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

  const Result result = run(*loss, linear, sample, 1, "center");
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

// On input without a pattern, with the formula written out.
void identities() {
  const Sample sample = another();
  const at::Tensor product = sample.x.matmul(sample.rows.t());
  const at::Tensor of_x = sample.x.norm(2, 1, true), of_rows = sample.rows.norm(2, 1).unsqueeze(0);
  const auto ce = [&](const at::Tensor& logits) {
    return -logits.log_softmax(1).gather(1, sample.target.unsqueeze(1)).mean();
  };
  const auto value = [&](const std::string& name, const Options& options,
                         const ClassifierConfig& classifier) {
    return run(*loss_of(name, options, classifier, sample), classifier, sample)
        .output.loss.detach();
  };
  check_close(value("cross-entropy", {{"labelSmoothing", 0.0}}, linear), ce(product), 1e-12,
              "label smoothing 0 is cross entropy");
  check_close(value("cross-entropy", {{"labelSmoothing", .25}}, linear),
              ce(product) * .75 - product.log_softmax(1).mean() * .25, 1e-12, "label smoothing");
  check_close(value("cross-entropy", {}, cosine(16)), ce(product / of_x / of_rows * 16), 1e-10,
              "cosine");
  check_close(value("cross-entropy", {}, norm), ce(product / of_rows), 1e-10, "cosine, scale norm");
  check_close(value("cross-entropy", {}, distance),
              ce(product - sample.rows.square().sum(1).unsqueeze(0) / 2), 1e-12,
              "distance is linear less half the square of the mean");
  check_close(
      value("center", {{"weight", 0.0}, {"centerRate", 1.0}, {"labelSmoothing", .25}}, linear),
      value("cross-entropy", {{"labelSmoothing", .25}}, linear), 1e-15,
      "center of weight 0 is its smoothed cross entropy");
}

bool finite(const at::Tensor& tensor) { return tensor.isfinite().all().item<bool>(); }

void rows_of_zeros(at::ScalarType dtype) {
  Sample sample = another();
  sample.x = sample.x.to(dtype);
  sample.x[2].zero_();
  sample.rows[1].zero_();
  for (const ClassifierConfig& classifier : {linear, cosine(64), norm, distance}) {
    const std::string kind = "zeros, kind " + std::to_string(static_cast<int>(classifier.kind));
    const auto loss = loss_of("cross-entropy", {}, classifier, sample);
    const Result result = run(*loss, classifier, sample);
    check(finite(result.output.loss), kind + ": a finite loss");
    check(finite(result.x_grad) && finite(result.rows_grad), kind + ": finite gradients");
  }
  // x on its centre: the distance has no direction.
  sample.rows[0] = sample.x[0];
  const Result result = run(*loss_of("cross-entropy", {}, distance, sample), distance, sample);
  check(finite(result.x_grad) && finite(result.rows_grad), "x on its mean: finite gradients");
}

// In bf16 a cosine times 64 would be off by 0.04.
void under_autocast() {
  const Sample sample = another();
  for (const ClassifierConfig& classifier : {cosine(64), norm, distance}) {
    const mcloss::LastLayer layer(classifier, 5, 4);
    const at::Tensor rows = layer.rows;
    const c10::NoGradGuard no_grad;
    rows.copy_(sample.rows);
    const at::Tensor x = sample.x.to(at::kBFloat16);
    const at::Tensor alone = layer.forward(x.to(at::kFloat));
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    const at::Tensor logits = layer.forward(x);
    at::autocast::set_autocast_enabled(at::kCPU, false);
    check(logits.scalar_type() == at::kFloat && logits.equal(alone), "autocast: float32 logits");
  }
}

void refusals() {
  const Sample sample = example();
  const auto make = [&](const std::string& name, const Options& options,
                        const ClassifierConfig& classifier) {
    return [=] { loss_of(name, options, classifier, sample); };
  };
  const Options lmcl{{"scale", 4.0}, {"margin", .35}};
  check_error("E_CONFIG", "center, cross-entropy, lmcl, mc", make("focal", {}, linear));
  check_error("E_CONFIG", "linear", make("lmcl", lmcl, linear));
  check_error("E_CONFIG", "norm", make("lmcl", lmcl, norm));
  check_error("E_CONFIG", "scale: 5", make("lmcl", lmcl, cosine(5)));
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
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const std::string where = c10::str(" ", device, " ", dtype);
      test_case("losses: golden values" + where, [&] { golden_values(device, dtype); });
      test_case("losses: center" + where, [&] { center(device, dtype); });
    }
  }
  test_case("losses: identities", identities);
  test_case("losses: rows of zeros, float64", [] { rows_of_zeros(at::kDouble); });
  test_case("losses: rows of zeros, float32", [] { rows_of_zeros(at::kFloat); });
  test_case("losses: under autocast", under_autocast);
  test_case("losses: refusals", refusals);
}

}  // namespace test
