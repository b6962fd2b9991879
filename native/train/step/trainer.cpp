#include "train/step/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ceil_div.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>

#include "losses/loss.h"
#include "models/classifier.h"
#include "models/weight_casts.h"
#include "ops/seed_step.h"
#include "train/device/device.h"
#include "train/device/precision.h"
#include "train/device/recording.h"
#include "train/device/run_settings.h"
#include "train/device/upload.h"
#include "train/device/warnings.h"
#include "train/step/batch_input.h"
#include "train/step/ema.h"
#include "train/step/graphed_step.h"
#include "train/step/inference_results.h"
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
NamedTensors named(const torch::OrderedDict<std::string, at::Tensor>& of_loss) {
  NamedTensors out;
  for (const auto& item : of_loss) out.emplace_back("loss." + item.key(), item.value());
  return out;
}

NamedTensors joined(NamedTensors first, const NamedTensors& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Gradients of other ranks join here; one rank has none.
void reduce_gradients(Optimizer&) {}

double milliseconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
      .count();
}

struct Inferred {
  ClassifierOutput output;
  at::Tensor target;  // undefined for a batch without labels
};

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
    buffers = std::make_unique<RunningBuffers>(model.backbone_buffers(), model.head_buffers(),
                                               named(loss->named_buffers()));
    optimizer = make_optimizer(config.optim, model.backbone_parameters(),
                               joined(model.head_parameters(), named(loss->named_parameters())));
    if (config.precision == Precision::bf16) casts.emplace(model.cast_layers(), at::kBFloat16);
    if (config.optim.ema.decay > 0) ema.emplace(config.optim.ema, model.state());
  }

  void step(const Batch& batch, const StepArgs& args, bool as_it_is);
  void freeze_backbone(bool frozen);
  void update(const StepBatch& batch);
  at::Tensor accumulate_gradients(const StepBatch& batch);
  NamedTensors resumed();
  Inferred infer(const Batch& batch, const InferArgs& args);
  BatchInput input_of(const Batch& batch, const BatchInput& into = {}) const;
  void check_labels(const Batch& batch) const;

  const TrainerConfig config;
  const at::Device device;
  const Uploader upload;
  const at::Tensor seed_step;  // ops/seed_step.h
  const at::Tensor scalar;     // StepArgs::scalar
  const at::Tensor class_weights = class_weights_of(config, device);
  const std::shared_ptr<Loss> loss;
  Classifier model;
  std::optional<WeightCasts> casts;  // where autocast is on
  std::unique_ptr<RunningBuffers> buffers;
  std::unique_ptr<Optimizer> optimizer;
  std::optional<Ema> ema;
  bool frozen = false;
  RunningSums sums;
  Warnings warnings;
  double ms = 0;
  GraphedStep graphed;
};

void Trainer::Impl::step(const Batch& batch, const StepArgs& args, bool as_it_is) {
  const auto began = std::chrono::steady_clock::now();
  const c10::WarningUtils::WarningHandlerGuard collected(&warnings);
  check_labels(batch);
  const int64_t micro_batch = args.micro_batch > 0 ? args.micro_batch : batch.count;
  const bool same_work = args.freeze_backbone == frozen;
  const StepBatch memory = same_work ? graphed.memory_of(batch.count, micro_batch) : StepBatch{};
  const auto [input, target] = input_of(batch, {memory.input, memory.target});
  const StepBatch given{input, target, micro_batch};
  if (!same_work) freeze_backbone(args.freeze_backbone);
  model.train(true);
  optimizer->prepare();
  if (ema) ema->prepare();
  optimizer->set_lr(args.lr);
  scalar.fill_(args.scalar);
  set_seed_step(seed_step, args.seed, args.step);
  const std::string news =
      graphed.run(given, [this](const StepBatch& samples) { update(samples); }, as_it_is);
  if (!news.empty()) warnings.add(news);
  sums.count_step();
  ms += milliseconds_since(began);
}

void Trainer::Impl::freeze_backbone(bool on) {
  model.freeze_backbone(on);
  optimizer->freeze_backbone(on);
  graphed.forget();
  frozen = on;
}

// All of a step that a graph records: it reads from the host nothing that changes between steps.
void Trainer::Impl::update(const StepBatch& batch) {
  optimizer->zero_grad();
  buffers->save();
  if (casts) casts->renew();
  at::Tensor grad_norm;
  try {
    const at::Tensor buffer_sums = accumulate_gradients(batch);
    reduce_gradients(*optimizer);
    grad_norm = optimizer->gradient_norm();
    if (config.optim.clip_grad_norm > 0) optimizer->clip_gradients(grad_norm);
    if (buffer_sums.defined()) loss->update_buffers(buffer_sums);
  } catch (...) {
    const std::exception_ptr reason = std::current_exception();
    try {
      buffers->restore();
    } catch (const std::exception&) {
      // A broken recording refuses every launch; it has changed nothing, and has a reason of its own.
    }
    std::rethrow_exception(reason);
  }
  const auto [skip, found_inf] = sums.add_step(grad_norm);
  optimizer->step(found_inf);
  buffers->restore_where(skip);
  if (ema) ema->update(skip);
}

// The gradient of the mean loss over the batch, micro-batch by micro-batch. Returns the sum of what the
// loss gives for its buffers.
at::Tensor Trainer::Impl::accumulate_gradients(const StepBatch& batch) {
  at::Tensor buffer_sums;
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
    sums.add_batch(output, logits, target, first == 0);
    if (output.buffer_sums.defined()) {
      buffer_sums = first == 0 ? output.buffer_sums : buffer_sums + output.buffer_sums;
    }
  }
  buffers->count(at::ceil_div(total, batch.micro_batch), model.backbone_norm_trains());
  return buffer_sums;
}

// What optimizer.safetensors holds.
NamedTensors Trainer::Impl::resumed() {
  return joined(joined(optimizer->state(), ema ? ema->state() : NamedTensors()),
                joined(named(loss->named_parameters()), named(loss->named_buffers())));
}

Inferred Trainer::Impl::infer(const Batch& batch, const InferArgs& args) {
  const c10::NoGradGuard no_grad;
  const c10::WarningUtils::WarningHandlerGuard collected(&warnings);
  const Autocast autocast(device.type(), config.precision);
  std::optional<Ema::Lent> lent;
  if (args.weights == ModelWeights::ema) {
    if (!ema) {
      throw Error(
          "E_CONFIG",
          "trainer: expected weights 'raw' but received 'ema', and this trainer has no average "
          "of the weights. Set optim.ema, or leave weights out.");
    }
    lent.emplace(*ema);
  }
  model.train(false);
  const auto [input, target] = input_of(batch);
  if (casts) casts->renew();  // the average's, or other weights since
  const std::shared_lock nobody_records(recording_lock);
  ClassifierOutput output = model.forward(input, {});
  output.logits = output.logits.to(at::kFloat);
  return {output, target};
}

// The images normalised, in the type that the first convolution computes in.
BatchInput Trainer::Impl::input_of(const Batch& batch, const BatchInput& into) const {
  const at::ScalarType dtype = config.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  const GatherOptions options{config.model.input_height, config.model.input_width, config.mean,
                              config.std, dtype};
  if (config.channels_last) return batch_input(batch, options, upload, into);
  const auto [input, target] = batch_input(batch, options, upload);
  return {input.contiguous(), target};
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

Trainer::Trainer(const TrainerConfig& config) {
  at::set_num_threads(config.threads);
  apply_settings(config.settings);
  use_own_stream(require_device(config.device));
  impl_ = std::make_unique<Impl>(config);
}

Trainer::~Trainer() = default;

void Trainer::step(const Batch& batch, const StepArgs& args, bool as_it_is) {
  impl_->step(batch, args, as_it_is);
}

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

EvalStats Trainer::evaluate(const Batch& batch, const InferArgs& args) {
  impl_->check_labels(batch);
  const auto [output, target] = impl_->infer(batch, args);
  return eval_stats(output.logits, target);
}

std::vector<float> Trainer::predict(const Batch& batch, const InferArgs& args) {
  return floats_of(impl_->infer(batch, args).output.logits);
}

Embedded Trainer::embed(const Batch& batch, const InferArgs& args) {
  const ClassifierOutput output = impl_->infer(batch, args).output;
  return {floats_of(output.embedding), floats_of(output.logits)};
}

std::vector<float> Trainer::features(const Batch& batch, const std::vector<int64_t>& channels,
                                     std::vector<int64_t>& shape) {
  const at::Tensor maps = maps_of(impl_->infer(batch, {}).output.features, channels);
  shape = maps.sizes().vec();
  return floats_of(maps);
}

void Trainer::save(const std::string& dir, const std::string& metadata) {
  write_safetensors(dir + "/model.safetensors", impl_->model.state(), metadata);
  if (impl_->ema) write_safetensors(dir + "/ema.safetensors", impl_->ema->average(), metadata);
  write_safetensors(dir + "/optimizer.safetensors", impl_->resumed(), {});
}

void Trainer::load(const WeightFile& model, const WeightFile& optimizer, const WeightFile* ema) {
  if (impl_->ema && !ema) {
    throw Error("E_CHECKPOINT", "trainer: expected an ema.safetensors beside " + optimizer.path() +
                                    ", as optim.ema keeps one, but there is none. Resume from a "
                                    "checkpoint that is whole.");
  }
  // Names, shapes and places of all are checked before any is used.
  const Match match = impl_->model.match(model, {});
  const Match ema_match = impl_->ema ? impl_->model.match(*ema, {}) : Match{};
  check_resumed(impl_->resumed(), optimizer);
  Classifier::load(model, match);
  if (impl_->ema) {
    const Ema::Lent lent(*impl_->ema);
    Classifier::load(*ema, ema_match);
  }
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
