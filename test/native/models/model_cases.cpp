// Whole networks with our 3x3 convolutions and batch norm + residual + ReLU beside the same networks of
// LibTorch's own operators: logits, every parameter's gradient, the running statistics.
// A value near a ReLU's zero that rounding sends to the other side moves the gradients of a small map by
// tenths. In float64 no value is that near. In float32 every batch norm of a ResNet shifts its channels by
// 8 standard deviations, by turns up and down: both sides of each ReLU are taken, and none is near.
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>

#include "cases.h"
#include "models/classifier.h"
#include "ops/mc_loss/case.h"

namespace test {
namespace {

using mcloss::Classifier;
using mcloss::Impl;
using mcloss::ModelConfig;

constexpr int64_t kClasses = 5, kSamples = 3;

struct Numbers {
  at::ScalarType dtype;
  double tolerance;
};
constexpr Numbers kFloat64{at::kDouble, 1e-9}, kFloat32{at::kFloat, 1e-3};

// Both sides get the same weights, and each batch norm a scale and a shift of its own.
Classifier classifier(ModelConfig config, Impl impl, at::ScalarType dtype, bool channels_last) {
  config.impl = impl;
  Classifier model(config, /*init_seed=*/1);
  Random random(1);
  for (auto& [name, tensor] : model.state()) {
    if (!tensor.is_floating_point()) continue;
    at::Tensor values = tensor.detach().to(at::kDouble);
    const bool is_scale = name.ends_with("weight") && tensor.dim() == 1;
    if (is_scale) values = random.uniform(tensor.sizes()) * 0.2 + 0.8;
    if (name.ends_with("bias")) {
      values = random.uniform(tensor.sizes()) - 0.5;
      if (dtype == at::kFloat) values += at::arange(tensor.size(0)).remainder(2) * 16 - 8;
    }
    tensor.set_data(values.to(dtype));
  }
  model.to(at::kCPU, channels_last);
  return model;
}

struct Results {
  mcloss::NamedTensors gradients;
  mcloss::NamedTensors others;  // running statistics, logits, logits of an evaluation with these
};

Results results_of(Classifier model, const at::Tensor& input, const at::Tensor& target) {
  model.train(true);
  const at::Tensor logits = model.forward(input, {}).logits;
  at::cross_entropy_loss(logits, target).backward();
  Results results{{}, model.backbone_buffers()};
  for (const auto& buffer : model.head_buffers()) results.others.push_back(buffer);
  for (const auto& parameters : {model.backbone_parameters(), model.head_parameters()}) {
    for (const auto& [name, tensor] : parameters)
      results.gradients.emplace_back(name, tensor.grad());
  }
  const c10::NoGradGuard no_grad;
  model.train(false);
  results.others.emplace_back("logits", logits.detach());
  results.others.emplace_back("logits of an evaluation", model.forward(input, {}).logits);
  return results;
}

void compare(const ModelConfig& config, const Numbers& numbers, bool channels_last) {
  Random random(2);
  const at::Tensor input =
      (random.uniform({kSamples, 3, config.input_height, config.input_width}) * 2 - 1)
          .contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous)
          .to(numbers.dtype);
  const at::Tensor target = at::arange(kSamples, at::kLong).remainder(kClasses);
  const Results ours =
      results_of(classifier(config, Impl::fused, numbers.dtype, channels_last), input, target);
  const Results theirs =
      results_of(classifier(config, Impl::reference, numbers.dtype, channels_last), input, target);
  const std::string what = config.backbone + (channels_last ? " channels_last " : " ");
  for (size_t i = 0; i < ours.others.size(); ++i) {
    const auto& [name, values] = ours.others[i];
    check_close(values, theirs.others[i].second, numbers.tolerance, what + name);
  }
  // The gradient of a bias before a batch norm is rounding around 0.
  double largest = 0;
  for (const auto& [name, values] : theirs.gradients) {
    largest = std::max(largest, values.abs().max().item<double>());
  }
  for (size_t i = 0; i < ours.gradients.size(); ++i) {
    const auto& [name, values] = ours.gradients[i];
    check_close(values, theirs.gradients[i].second, numbers.tolerance, what + name,
                std::max(largest / 1000, theirs.gradients[i].second.abs().max().item<double>()));
  }
}

ModelConfig network(const char* backbone, const char* head, int64_t channels_per_class,
                    int64_t side) {
  ModelConfig config;
  config.backbone = backbone;
  config.head = head;
  config.num_classes = kClasses;
  config.channels_per_class = channels_per_class;
  config.input_height = config.input_width = side;
  return config;
}

}  // namespace

void models() {
  const auto compare_all = [](const ModelConfig& config, const Numbers& numbers) {
    for (const bool channels_last : {true, false}) {
      test_case(c10::str("models: ", config.backbone, " ", config.channels_per_class, " ",
                         numbers.dtype, channels_last ? " channels_last" : " contiguous"),
                [&] { compare(config, numbers, channels_last); });
    }
  };
  for (const ModelConfig& config :
       {network("resnet18", "torchvision", 0, 40), network("resnet18", "linear", 7, 40),
        network("resnet50", "linear", 0, 40), network("vgg-small", "linear", 3, 64),
        network("toy", "two-layer", 0, 64)}) {
    compare_all(config, kFloat64);
  }
  // The VGGs pool four times: shifted that far, two values of a window are too often equal but for
  // rounding. test/native/train/model-impl.test.ts has them in float32.
  for (const ModelConfig& config :
       {network("resnet18", "torchvision", 0, 40), network("resnet18", "linear", 7, 40)}) {
    compare_all(config, kFloat32);
  }
}

}  // namespace test
