#include "train/step/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>

#include "losses/loss.h"
#include "models/classifier.h"
#include "ops/seed_step.h"
#include "train/device/device.h"
#include "train/device/precision.h"
#include "train/device/run_settings.h"
#include "train/device/upload.h"
#include "train/device/warnings.h"
#include "train/step/batch_input.h"
#include "train/step/graphed_step.h"
#include "train/step/optimizer.h"
#include "train/step/resumed_state.h"
#include "train/step/running_buffers.h"
#include "train/step/step_sums.h"

namespace mcloss {
namespace {

LossContext context_of(const ModelConfig& model) {
  const MapShape map = map_shape(model);
  return {model, map.channels, map.height * map.width, embedding_width(model)};
}

// Tensors of the loss under the names that a checkpoint gives them.
NamedTensors named(const torch::OrderedDict<std::string, at::Tensor>& of_loss,
                   const char* suffix = "") {
  NamedTensors out;
  for (const auto& item : of_loss) out.emplace_back("loss." + item.key() + suffix, item.value());
  return out;
}

NamedTensors joined(NamedTensors first, const NamedTensors& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Gradients of other ranks join here; one rank has none.
void reduce_gradients(Sgd&) {}

double milliseconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
      .count();
}

}  // namespace

struct Trainer::Impl {
  explicit Impl(const TrainerConfig& config)
      : config(config),
        device(require_device(config.device)),
        upload(device),
        seed_step(make_seed_step(0, 0, device)),
        scalar(at::zeros({}, at::device(device))),
        loss(make_loss(config.loss, context_of(config.model))),
        model(config.model, config.init_seed),
        graphed(device.is_cuda() && config.settings.cuda_graph == CudaGraph::where_possible
                    ? make_step_graph()
                    : nullptr) {
    model.to(device, config.channels_last);
    loss->to(device);
    buffers =
        std::make_unique<RunningBuffers>(joined(model.buffers(), named(loss->named_buffers())));
    // A velocity is saved under the name given here, beside the parameter of the loss itself.
    optimizer = std::make_unique<Sgd>(
        config.optim, model.backbone_parameters(),
        joined(model.head_parameters(), named(loss->named_parameters(), ".velocity")));
  }

  void step(const Batch& batch, const StepArgs& args);
  void update(const StepBatch& batch);
  StepSums accumulate_gradients(const StepBatch& batch);
  NamedTensors resumed() const;
  ClassifierOutput infer(const Batch& batch);
  at::Tensor input_of(const Batch& batch) const;
  void check_labels(const Batch& batch) const;
  at::Tensor target_of(const Batch& batch) const;

  const TrainerConfig config;
  const at::Device device;
  const Uploader upload;
  const at::Tensor seed_step;  // ops/seed_step.h
  const at::Tensor scalar;     // StepArgs::scalar
  const at::Tensor class_weights = class_weights_of(config, device);
  const std::shared_ptr<Loss> loss;
  Classifier model;
  std::unique_ptr<RunningBuffers> buffers;
  std::unique_ptr<Sgd> optimizer;
  RunningSums sums;
  Warnings warnings;
  double ms = 0;
  GraphedStep graphed;
};

void Trainer::Impl::step(const Batch& batch, const StepArgs& args) {
  const auto began = std::chrono::steady_clock::now();
  const c10::WarningUtils::WarningHandlerGuard collected(&warnings);
  check_labels(batch);
  const int64_t micro_batch = args.micro_batch > 0 ? args.micro_batch : batch.count;
  const StepBatch given{input_of(batch), target_of(batch), micro_batch};
  model.train(true);
  optimizer->set_lr(args.lr);
  scalar.fill_(args.scalar);
  set_seed_step(seed_step, args.seed, args.step);
  const std::string news =
      graphed.run(given, [this](const StepBatch& samples) { update(samples); });
  if (!news.empty()) warnings.add(news);
  sums.count_step();
  ms += milliseconds_since(began);
}

// All of a step that a graph records: it reads from the host nothing that changes between steps.
void Trainer::Impl::update(const StepBatch& batch) {
  optimizer->zero_grad();
  buffers->save();
  StepSums step;
  at::Tensor grad_norm;
  try {
    step = accumulate_gradients(batch);
    reduce_gradients(*optimizer);
    grad_norm = optimizer->gradient_norm();
    if (step.buffer_sums.defined()) loss->update_buffers(step.buffer_sums);
  } catch (...) {
    buffers->restore();
    throw;
  }
  const at::Tensor skip = at::isfinite(grad_norm + step.loss).logical_not();
  optimizer->step(skip.to(at::kFloat));
  buffers->restore_where(skip);
  sums.add(step, grad_norm, skip);
}

// The gradient of the mean loss over the batch, micro-batch by micro-batch.
StepSums Trainer::Impl::accumulate_gradients(const StepBatch& batch) {
  StepSums sums;
  const int64_t total = batch.input.size(0);
  for (int64_t first = 0; first < total; first += batch.micro_batch) {
    const int64_t count = std::min(batch.micro_batch, total - first);
    const at::Tensor target = batch.target.narrow(0, first, count);
    at::Tensor logits;
    LossOutput output;
    {
      const Autocast autocast(device.type(), config.precision);
      const ClassifierOutput forward =
          model.forward(batch.input.narrow(0, first, count), {seed_step, first});
      logits = forward.logits.to(at::kFloat);
      output = loss->forward({forward.features, forward.embedding, logits, target, scalar,
                              seed_step, first, class_weights});
    }
    const double share = static_cast<double>(count) / static_cast<double>(total);
    (share == 1 ? output.loss : output.loss * share).backward();
    sums.add(output, logits.detach().argmax(1).eq(target).sum(), count);
  }
  return sums;
}

// What optimizer.safetensors holds.
NamedTensors Trainer::Impl::resumed() const {
  return joined(optimizer->state(),
                joined(named(loss->named_parameters()), named(loss->named_buffers())));
}

ClassifierOutput Trainer::Impl::infer(const Batch& batch) {
  const c10::NoGradGuard no_grad;
  const c10::WarningUtils::WarningHandlerGuard collected(&warnings);
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
  const at::Tensor input = batch_input(batch, options, upload);
  return config.channels_last ? input : input.contiguous();
}

void Trainer::Impl::check_labels(const Batch& batch) const {
  const int64_t classes = config.model.num_classes;
  const auto* bad = std::find_if(batch.labels, batch.labels + batch.count,
                                 [&](int32_t label) { return label < 0 || label >= classes; });
  if (bad != batch.labels + batch.count) {
    throw Error("E_ARGUMENT", "trainer: expected labels 0.." + std::to_string(classes - 1) +
                                  " but received " + std::to_string(*bad) + ".");
  }
}

at::Tensor Trainer::Impl::target_of(const Batch& batch) const {
  return upload(at::from_blob(const_cast<int32_t*>(batch.labels), {batch.count}, at::kInt))
      .to(at::kLong);
}

Trainer::Trainer(const TrainerConfig& config) {
  at::set_num_threads(config.threads);
  apply_settings(config.settings);
  use_own_stream(require_device(config.device));
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
  stats.warnings = impl_->warnings.take();
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

void Trainer::save(const std::string& dir, const std::string& metadata) {
  write_safetensors(dir + "/model.safetensors", impl_->model.state(), metadata);
  write_safetensors(dir + "/optimizer.safetensors", impl_->resumed(), {});
}

void Trainer::load(const WeightFile& model, const WeightFile& optimizer) {
  // Names, shapes and places of both are checked before either is used.
  const Match match = impl_->model.match(model, {});
  check_resumed(impl_->resumed(), optimizer);
  Classifier::load(model, match);
  load_resumed(impl_->resumed(), optimizer);
}

Taken Trainer::load_weights(const WeightFile& file, const TakeOptions& options) {
  for (const StoredTensor& tensor : file.tensors()) {
    if (tensor.dtype == "BOOL") file.check_values(tensor, /*finite=*/false);
  }
  // Read twice, so that a value that is refused changes nothing: the second time it is in the
  // system's cache.
  const Match match = impl_->model.match(file, options);
  for (const auto& [own, tensor] : match.pairs) file.check_values(*tensor, options.finite);
  Classifier::load(file, match);
  return match.names;
}

}  // namespace mcloss
