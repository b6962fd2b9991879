// Class weights of the cross entropy of each loss: twenty steps of gradient descent on a last layer
// against PyTorch (test/fixtures/class-weights, float64), also in two micro-batches; and the terms
// without weights.
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "losses/loss.h"
#include "models/last_layer.h"

namespace test {
namespace {

using LossOptionValues = std::map<std::string, mcloss::LossConfig::Value>;

struct WeightedCase {
  std::string file, loss;
  LossOptionValues options;
  mcloss::ClassifierConfig classifier;
};
const std::vector<WeightedCase> weighted_cases{
    {"plain", "cross-entropy", {}, {}},
    {"smoothed", "cross-entropy", {{"labelSmoothing", .1}}, {}},
    {"smoothed", "center", {{"weight", 0.0}, {"centerRate", .5}, {"labelSmoothing", .1}}, {}},
    {"lmcl", "lmcl", {{"scale", 4.0}, {"margin", .35}}, {mcloss::ClassifierKind::cosine, 4}},
};

std::shared_ptr<mcloss::Loss> weighted_loss(const WeightedCase& of, int64_t classes,
                                            int64_t width) {
  mcloss::ModelConfig model;
  model.backbone = "none";
  model.num_classes = classes;
  model.classifier = of.classifier;
  return mcloss::make_loss({of.loss, of.options}, {model, 1, 1, width});
}

void twenty_steps(const std::string& folder, const WeightedCase& of, at::DeviceType device,
                  int64_t micro_batch) {
  const std::string what = c10::str("class weights: ", of.file, " of ", of.loss, ", ", micro_batch,
                                    " at once on ", device);
  std::map<std::string, at::Tensor> fixture;
  for (const auto& [name, tensor] : read_fixture(folder + "/" + of.file + ".safetensors").tensors) {
    fixture[name] = tensor;
  }
  const at::Tensor rows = fixture["rows"];
  mcloss::LastLayer layer(of.classifier, rows.size(1), rows.size(0));
  layer.to(device, at::kDouble);
  const auto loss = weighted_loss(of, rows.size(0), rows.size(1));
  loss->to(device, at::kDouble);
  {
    const c10::NoGradGuard no_grad;
    layer.rows.copy_(rows);
    if (layer.bias.defined()) layer.bias.zero_();
  }
  mcloss::LossInput input;
  input.class_weights = fixture["weights"].to(device);
  const int64_t samples = fixture["x"].size(1);
  for (int64_t step = 0; step < fixture["x"].size(0); ++step) {
    layer.rows.mutable_grad().reset();
    double sum = 0;
    for (int64_t first = 0; first < samples; first += micro_batch) {
      const int64_t count = std::min(micro_batch, samples - first);
      input.embedding = fixture["x"][step].narrow(0, first, count).to(device);
      input.logits = layer.forward(input.embedding);
      input.target = fixture["target"][step].narrow(0, first, count).to(device);
      const at::Tensor share =
          loss->forward(input).loss * (static_cast<double>(count) / static_cast<double>(samples));
      share.backward();
      sum += share.item<double>();
    }
    check_close(at::full({}, sum, at::kDouble), fixture["losses"][step], 1e-10,
                what + ", step " + std::to_string(step));
    const c10::NoGradGuard no_grad;
    layer.rows -= layer.rows.grad() * .25;
  }
  check_close(layer.rows.detach(), fixture["trained"], 1e-10, what + ": the rows after all steps");
}

// L_c is the mean over samples, whatever their classes weigh.
void center_term() {
  const WeightedCase of{"", "center", {{"weight", 1.0}, {"centerRate", .5}}, {}};
  mcloss::LossInput input;
  input.embedding = at::sin(at::arange(1, 13, at::kDouble) * 7.3).view({4, 3});
  input.logits = at::sin(at::arange(1, 9, at::kDouble) * 3.1).view({4, 2});
  input.target = at::tensor({0, 1, 1, 0}, at::kLong);
  const auto loss = weighted_loss(of, 2, 3);
  loss->to(at::kDouble);
  const mcloss::LossOutput plain = loss->forward(input);
  input.class_weights = at::tensor({.5, 1.5}, at::kDouble);
  const mcloss::LossOutput weighted = loss->forward(input);
  check(weighted.parts[1].second.equal(plain.parts[1].second), "class weights: L_c has none");
  check(!weighted.parts[0].second.equal(plain.parts[0].second), "class weights: CE has them");
}

}  // namespace

void class_weights(const std::string& folder) {
  for (const at::DeviceType device : devices()) {
    for (const WeightedCase& of : weighted_cases) {
      for (const int64_t micro_batch : {9, 4}) {
        test_case(
            c10::str("class weights: ", of.file, " of ", of.loss, ", ", micro_batch, " ", device),
            [&] { twenty_steps(folder, of, device, micro_batch); });
      }
    }
  }
  test_case("class weights: the center term", center_term);
}

}  // namespace test
