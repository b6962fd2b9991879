#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>

#include "losses/loss.h"
#include "models/classifier.h"
#include "ops/channel_groups.h"
#include "train/batch_input.h"
#include "train/device.h"
#include "train/optimizer.h"
#include "train/precision.h"
#include "train/running_buffers.h"
#include "train/step_sums.h"

namespace mcloss {
namespace {

void check_feature_map(const TrainerConfig& config) {
  const MapShape map = map_shape(config.model);
  if (config.loss.name != "mc") return;
  const ChannelGroups groups(map.channels, config.model.num_classes);
  const McWeights& weights = config.loss.weights;
  const bool weighs_diversity = weights.form == LossForm::paper
                                    ? weights.mu * weights.lambda != 0
                                    : weights.beta != 0;
  if (map.height * map.width == 1 && weighs_diversity) {
    throw Error("E_ARGUMENT",
                "trainer: the feature map of " + config.model.backbone + " has one position (1x1), "
                "where the diversity of the MC-Loss is constant. Use a larger crop, or a diversity "
                "weight of 0.");
  }
}

// Gradients of other ranks join here; one rank has none.
void reduce_gradients(Sgd&) {}

double milliseconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

struct Trainer::Impl {
  explicit Impl(const TrainerConfig& config)
      : config(config),
        device(require_device(config.device)),
        model(config.model, config.init_seed),
        loss(make_loss(config.loss, config.model.num_classes)) {
    model.to(device, config.channels_last);
    buffers = std::make_unique<RunningBuffers>(model.buffers());
    optimizer = std::make_unique<Sgd>(config.optim, model.backbone_parameters(),
                                      model.head_parameters());
  }

  void step(const Batch& batch, const StepArgs& args);
  StepSums accumulate_gradients(const Batch& batch, const StepArgs& args);
  ClassifierOutput infer(const Batch& batch);
  at::Tensor input_of(const Batch& batch) const;
  void check_labels(const Batch& batch) const;
  at::Tensor target_of(const Batch& batch) const;

  const TrainerConfig config;
  const at::Device device;
  Classifier model;
  std::shared_ptr<Loss> loss;
  std::unique_ptr<RunningBuffers> buffers;
  std::unique_ptr<Sgd> optimizer;
  RunningSums sums;
  double ms = 0;
};

void Trainer::Impl::step(const Batch& batch, const StepArgs& args) {
  const auto began = std::chrono::steady_clock::now();
  check_labels(batch);
  model.train(true);
  optimizer->zero_grad();
  buffers->save();
  StepSums step;
  at::Tensor grad_norm;
  try {
    step = accumulate_gradients(batch, args);
    reduce_gradients(*optimizer);
    grad_norm = optimizer->gradient_norm();
  } catch (...) {
    buffers->restore();
    throw;
  }
  const at::Tensor skip = at::isfinite(grad_norm + step.loss).logical_not();
  optimizer->step(args.lr, skip.to(at::kFloat));
  buffers->restore_where(skip);
  sums.add(step, grad_norm, skip);
  ms += milliseconds_since(began);
}

// The gradient of the mean loss over the batch, micro-batch by micro-batch.
StepSums Trainer::Impl::accumulate_gradients(const Batch& batch, const StepArgs& args) {
  const int64_t size = args.micro_batch > 0 ? args.micro_batch : batch.count;
  StepSums sums;
  for (int64_t first = 0; first < batch.count; first += size) {
    Batch part = batch;
    part.count = std::min(size, batch.count - first);
    if (part.pixels) part.pixels += first * batch.height * batch.width * 3;
    if (part.rows) part.rows += first;
    part.windows += first * 3;
    if (part.jitter) part.jitter += first * 3;
    part.labels += first;

    const at::Tensor target = target_of(part);
    at::Tensor logits;
    LossOutput output;
    {
      const Autocast autocast(device.type(), config.precision);
      const ClassifierOutput forward =
          model.forward(input_of(part), {args.seed, args.step, first});
      logits = forward.logits.to(at::kFloat);
      output = loss->forward({forward.features, logits, target, args.seed, args.step, first});
    }
    const double share = static_cast<double>(part.count) / static_cast<double>(batch.count);
    (share == 1 ? output.loss : output.loss * share).backward();
    sums.add(output, logits.detach().argmax(1).eq(target).sum(), part.count);
  }
  return sums;
}

ClassifierOutput Trainer::Impl::infer(const Batch& batch) {
  const c10::NoGradGuard no_grad;
  const Autocast autocast(device.type(), config.precision);
  model.train(false);
  ClassifierOutput output = model.forward(input_of(batch), {});
  output.logits = output.logits.to(at::kFloat);
  return output;
}

// [count, 3, crop height, crop width], normalised float32 on the device.
at::Tensor Trainer::Impl::input_of(const Batch& batch) const {
  const GatherOptions options{config.model.input_height, config.model.input_width, config.mean,
                              config.std};
  const at::Tensor input = batch_input(batch, options, device);
  return config.channels_last ? input : input.contiguous();
}

void Trainer::Impl::check_labels(const Batch& batch) const {
  const int64_t classes = config.model.num_classes;
  const auto* bad = std::find_if(batch.labels, batch.labels + batch.count, [&](int32_t label) {
    return label < 0 || label >= classes;
  });
  if (bad != batch.labels + batch.count) {
    throw Error("E_ARGUMENT", "trainer: expected labels 0.." + std::to_string(classes - 1) +
                                  " but received " + std::to_string(*bad) + ".");
  }
}

at::Tensor Trainer::Impl::target_of(const Batch& batch) const {
  return at::from_blob(const_cast<int32_t*>(batch.labels), {batch.count}, at::kInt)
      .to(device, at::kLong);
}

Trainer::Trainer(const TrainerConfig& config) {
  at::set_num_threads(config.threads);
  check_feature_map(config);
  impl_ = std::make_unique<Impl>(config);
}

Trainer::~Trainer() = default;

void Trainer::step(const Batch& batch, const StepArgs& args) { impl_->step(batch, args); }

StepStats Trainer::stats() {
  const auto began = std::chrono::steady_clock::now();
  StepStats stats = impl_->sums.take();
  // On a GPU the steps' own time is the time until it has caught up.
  if (stats.steps > 0) impl_->ms += milliseconds_since(began);
  stats.ms = impl_->ms;
  impl_->ms = 0;
  return stats;
}

EvalStats Trainer::evaluate(const Batch& batch) {
  impl_->check_labels(batch);
  const at::Tensor target = impl_->target_of(batch);
  const at::Tensor logits = impl_->infer(batch).logits;
  const int64_t five = std::min<int64_t>(5, logits.size(1));
  const at::Tensor best = std::get<1>(logits.topk(five, 1));  // [n, five], largest first
  const at::Tensor hits = best.eq(target.unsqueeze(1));
  const at::Tensor predictions = best.select(1, 0).to(at::kInt).cpu().contiguous();

  EvalStats stats;
  stats.n = batch.count;
  stats.top1 = hits.select(1, 0).sum().item<int64_t>();
  stats.top5 = hits.sum().item<int64_t>();
  stats.loss_sum = -logits.log_softmax(1).gather(1, target.unsqueeze(1)).sum().item<double>();
  const int32_t* values = predictions.const_data_ptr<int32_t>();
  stats.predictions.assign(values, values + batch.count);
  return stats;
}

std::vector<float> Trainer::predict(const Batch& batch) {
  const at::Tensor logits = impl_->infer(batch).logits.cpu().contiguous();
  const float* values = logits.const_data_ptr<float>();
  return {values, values + logits.numel()};
}

std::vector<float> Trainer::features(const Batch& batch, const std::vector<int64_t>& channels,
                                     std::vector<int64_t>& shape) {
  const at::Tensor features = impl_->infer(batch).features;
  for (const int64_t channel : channels) {
    if (channel < 0 || channel >= features.size(1)) {
      throw Error("E_ARGUMENT", "features: expected channels 0.." +
                                    std::to_string(features.size(1) - 1) + " but received " +
                                    std::to_string(channel) + ".");
    }
  }
  const at::Tensor index = at::tensor(channels, at::kLong).to(features.device());
  const at::Tensor maps = features.index_select(1, index).to(at::kFloat).cpu().contiguous();
  shape = maps.sizes().vec();
  const float* values = maps.const_data_ptr<float>();
  return {values, values + maps.numel()};
}

void Trainer::save(const std::string& dir, const std::map<std::string, std::string>& metadata) {
  write_safetensors(dir + "/model.safetensors", impl_->model.state(), metadata);
  write_safetensors(dir + "/optimizer.safetensors", impl_->optimizer->state(), {});
}

void Trainer::load(const std::string& dir) {
  const std::string model = dir + "/model.safetensors", optimizer = dir + "/optimizer.safetensors";
  // Both are read and checked before either is used, so that a wrong file changes nothing.
  const SafetensorsFile weights = read_safetensors(model), state = read_safetensors(optimizer);
  const auto copies = impl_->model.check(weights.tensors, /*backbone_only=*/false, model);
  impl_->optimizer->check(state.tensors, optimizer);
  Classifier::load(copies);
  impl_->optimizer->load(state.tensors);
}

void Trainer::load_weights(const std::string& path, bool backbone_only) {
  const SafetensorsFile weights = read_safetensors(path);
  Classifier::load(impl_->model.check(weights.tensors, backbone_only, path));
}

}  // namespace mcloss
