#include "models/classifier.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>

#include "models/layers.h"
#include "models/registry.h"

namespace mcloss {
namespace {

constexpr size_t most_names = 20;  // of a list in a message

void check_sizes(const ModelConfig& config) {
  if (config.num_classes < 1 || config.channels_per_class < 0) {
    throw Error("E_ARGUMENT",
                "model: expected at least 1 class and channelsPerClass >= 0 but "
                "received " +
                    std::to_string(config.num_classes) + " and " +
                    std::to_string(config.channels_per_class) + ".");
  }
}

void append_state(const torch::nn::Module& module, bool parameters, NamedTensors& out) {
  const auto named = parameters ? module.named_parameters() : module.named_buffers();
  for (const auto& item : named) out.emplace_back(item.key(), item.value());
}

NamedTensors parameters_of(const torch::nn::Module& module) {
  NamedTensors out;
  append_state(module, /*parameters=*/true, out);
  return out;
}

NamedTensors buffers_of(const torch::nn::Module& module) {
  NamedTensors out;
  append_state(module, /*parameters=*/false, out);
  return out;
}

std::string text_of(at::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

void append_list(std::string& message, const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  message += std::string("\n  ") + title + " (" + std::to_string(names.size()) + "):";
  const size_t shown = std::min<size_t>(names.size(), most_names);
  for (size_t i = 0; i < shown; ++i) message += " " + names[i];
  if (shown < names.size()) message += " and " + std::to_string(names.size() - shown) + " more";
}

}  // namespace

MapShape map_shape(const ModelConfig& config) {
  const BackboneRow& row = backbone_row(config.backbone);
  check_sizes(config);
  const MapShape shape = row.map_shape(config);
  if (shape.height < 1 || shape.width < 1) {
    throw Error("E_ARGUMENT", "model " + config.backbone + ": an input of " +
                                  std::to_string(config.input_height) + "x" +
                                  std::to_string(config.input_width) +
                                  " pixels leaves no feature map; use a larger crop.");
  }
  head_row(config.head).width(config, shape);  // throws where the head does not fit
  return shape;
}

int64_t embedding_width(const ModelConfig& config) {
  return head_row(config.head).width(config, map_shape(config));
}

Classifier::Classifier(const ModelConfig& config, uint64_t init_seed)
    : freeze_batch_norm_(config.freeze_batch_norm) {
  const MapShape map = map_shape(config);
  at::Generator generator = init_generator(init_seed);
  backbone_ = backbone_row(config.backbone).make(config, generator);
  head_ = head_row(config.head).make(config, map, generator);
}

ClassifierOutput Classifier::forward(const at::Tensor& input, const DropoutDraw& dropout) {
  const at::Tensor features = [&] {
    const c10::AutoGradMode gradients(c10::GradMode::is_enabled() && !frozen_);
    return backbone_->forward(input);
  }();
  const HeadOutput output = head_->forward(features, dropout);
  return {features, output.embedding, output.logits};
}

void Classifier::train(bool on) {
  backbone_->train(on && !frozen_ && !freeze_batch_norm_);  // batch norm alone looks at it
  head_->train(on);
}

void Classifier::to(at::Device device, bool channels_last) {
  const c10::NoGradGuard no_grad;
  for (auto& [name, tensor] : state()) {
    const auto format = channels_last && tensor.dim() == 4 ? at::MemoryFormat::ChannelsLast
                                                           : at::MemoryFormat::Contiguous;
    tensor.set_data(tensor.detach().to(device).contiguous(format));
  }
}

NamedTensors Classifier::backbone_parameters() const { return parameters_of(*backbone_); }
NamedTensors Classifier::head_parameters() const { return parameters_of(*head_); }

NamedTensors Classifier::backbone_buffers() const { return buffers_of(*backbone_); }
NamedTensors Classifier::head_buffers() const { return buffers_of(*head_); }

NamedTensors Classifier::state() const {
  NamedTensors out = backbone_parameters();
  append_state(*head_, /*parameters=*/true, out);
  append_state(*backbone_, /*parameters=*/false, out);
  append_state(*head_, /*parameters=*/false, out);
  return out;
}

std::vector<std::shared_ptr<CastLayer>> Classifier::cast_layers() const {
  std::vector<std::shared_ptr<CastLayer>> layers;
  for (const torch::nn::Module* part : {static_cast<torch::nn::Module*>(backbone_.get()),
                                        static_cast<torch::nn::Module*>(head_.get())}) {
    for (const auto& module : part->modules(/*include_self=*/false)) {
      if (auto layer = std::dynamic_pointer_cast<CastLayer>(module)) layers.push_back(layer);
    }
  }
  return layers;
}

Match Classifier::match(const WeightFile& file, const TakeOptions& options) const {
  std::map<std::string, const StoredTensor*> given;
  for (const StoredTensor& tensor : file.tensors()) given.emplace(tensor.name, &tensor);
  const auto is_asked = [&](const std::string& name) {
    return options.part == WeightsPart::all || !is_head_name(name);
  };
  std::vector<std::string> missing, mis_shaped, unexpected;
  Match match;
  auto& [taken, left_out, initialised] = match.names;
  for (const auto& [name, own] : state()) {
    const auto found = given.find(name);
    const StoredTensor* const tensor = found == given.end() ? nullptr : found->second;
    if (is_asked(name) && tensor && own.sizes() == tensor->shape) {
      taken.push_back(name);
      match.pairs.emplace_back(own, tensor);
    } else if (!tensor && name.ends_with(".num_batches_tracked")) {
      // Files of PyTorch before 0.4.1 lack it; it counts only, and stays as it is.
    } else {
      initialised.push_back(name);
      if (tensor) left_out.push_back(name);
      if (is_asked(name) && !tensor) missing.push_back(name);
      if (is_asked(name) && tensor) {
        mis_shaped.push_back(name + " " + text_of(tensor->shape) + " instead of " +
                             text_of(own.sizes()));
      }
    }
    if (tensor) given.erase(found);
  }
  for (const auto& [name, tensor] : given) {
    left_out.push_back(name);
    if (is_asked(name)) unexpected.push_back(name);
  }
  const bool fits = missing.empty() && unexpected.empty() && mis_shaped.empty();
  if (!fits && !(options.partial && !taken.empty())) {
    std::string message = "weights: " + file.path() + " does not fit the model.";
    append_list(message, "missing", missing);
    append_list(message, "unexpected", unexpected);
    append_list(message, "mis-shaped", mis_shaped);
    message +=
        "\n  Check model.backbone, model.head, model.classifier, model.channelsPerClass and the number "
        "of classes.";
    if (!taken.empty()) {
      message +=
          " A run that begins with these weights takes what fits if model.allowPartial is true.";
    }
    throw Error("E_WEIGHTS", message);
  }
  return match;
}

void Classifier::load(const WeightFile& file, const Match& match) {
  const c10::NoGradGuard no_grad;
  for (const auto& [own, tensor] : match.pairs) file.copy(*tensor, own);
}

}  // namespace mcloss
