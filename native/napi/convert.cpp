#include "napi/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "napi/addon_data.h"

namespace mcloss {
namespace {

constexpr double max_integer = 9007199254740991.0;  // 2^53 - 1

double not_negative(const Fields& fields, const char* name) {
  const double value = fields.number(name);
  if (!(std::isfinite(value) && value >= 0)) fields.refuse(name, "a finite number >= 0");
  return value;
}

std::array<float, 3> per_channel(const Fields& fields, const char* name) {
  const std::vector<double> values = fields.numbers(name, 3);
  return {static_cast<float>(values[0]), static_cast<float>(values[1]),
          static_cast<float>(values[2])};
}

// Which options there are, and what they may be, is the loss's own matter.
LossConfig loss_config(const Fields& fields) {
  LossConfig config;
  config.name = fields.text("name");
  for (const std::string& name : fields.names()) {
    const Napi::Value value = fields.value(name.c_str());
    if (name == "name" || value.IsUndefined()) continue;
    if (value.IsNumber()) {
      config.options[name] = value.As<Napi::Number>().DoubleValue();
    } else if (value.IsBoolean()) {
      config.options[name] = value.As<Napi::Boolean>().Value();
    } else {
      config.options[name] = fields.text(name.c_str());
    }
  }
  return config;
}

ClassifierConfig classifier_config(const Fields& fields) {
  const std::string kind = fields.text("kind");
  if (kind == "linear") return {};
  if (kind == "distance") return {.kind = ClassifierKind::distance};
  if (kind != "cosine") fields.refuse("kind", "linear, cosine or distance");
  if (fields.value("scale").IsString() && fields.text("scale") == "norm") {
    return {.kind = ClassifierKind::cosine};
  }
  const char* const expected = "'norm' or a finite number > 0";
  if (!fields.value("scale").IsNumber()) fields.refuse("scale", expected);
  const double scale = fields.number("scale");
  if (!std::isfinite(scale) || scale <= 0) fields.refuse("scale", expected);
  return {.kind = ClassifierKind::cosine, .scale = scale};
}

RunSettings run_settings(const Fields& fields) {
  const std::string graph = fields.text("cudaGraph");
  if (graph != "auto" && graph != "off") fields.refuse("cudaGraph", "auto or off");
  return {.cudnn_benchmark = fields.boolean("cudnnBenchmark"),
          .tf32 = fields.boolean("tf32"),
          .deterministic = fields.boolean("deterministic"),
          .cuda_graph = graph == "auto"};
}

}  // namespace

Fields::Fields(const Napi::Value& value, std::string who) : who_(std::move(who)) {
  if (!value.IsObject()) throw Error("E_ARGUMENT", who_ + ": expected an object.");
  object_ = value.As<Napi::Object>();
}

void Fields::refuse(const char* name, const std::string& expected) const {
  const Napi::Value received = object_.Get(name);
  throw Error("E_ARGUMENT", who_ + ": expected " + name + " to be " + expected + " but received " +
                                received.ToString().Utf8Value().substr(0, 80) + ".");
}

Napi::Value Fields::value(const char* name) const { return object_.Get(name); }
std::vector<std::string> Fields::names() const {
  const Napi::Array keys = object_.GetPropertyNames();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < keys.Length(); ++i) {
    names.push_back(Napi::Value(keys[i]).ToString().Utf8Value());
  }
  return names;
}
bool Fields::has(const char* name) const { return !object_.Get(name).IsUndefined(); }

std::string Fields::text(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsString()) refuse(name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

bool Fields::boolean(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsBoolean()) refuse(name, "true or false");
  return value.As<Napi::Boolean>().Value();
}

double Fields::number(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsNumber()) refuse(name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t Fields::integer(const char* name) const {
  const double value = number(name);
  if (!(value >= 0 && value <= max_integer) || value != std::floor(value)) {
    refuse(name, "an integer 0..2^53-1");
  }
  return static_cast<int64_t>(value);
}

std::vector<int64_t> Fields::integers(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsArray()) refuse(name, "an array of integers");
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> integers;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array[i];
    const double number = item.IsNumber() ? item.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= max_integer) || number != std::floor(number)) {
      refuse(name, "an array of integers 0..2^53-1");
    }
    integers.push_back(static_cast<int64_t>(number));
  }
  return integers;
}

std::vector<double> Fields::numbers(const char* name, size_t count) const {
  const Napi::Value value = object_.Get(name);
  const std::string expected = "an array of " + std::to_string(count) + " numbers";
  if (!value.IsArray() || value.As<Napi::Array>().Length() != count) refuse(name, expected);
  std::vector<double> numbers;
  for (uint32_t i = 0; i < count; ++i) {
    const Napi::Value item = value.As<Napi::Array>()[i];
    if (!item.IsNumber()) refuse(name, expected);
    numbers.push_back(item.As<Napi::Number>().DoubleValue());
  }
  return numbers;
}

Fields Fields::object(const char* name) const {
  return Fields(object_.Get(name), who_ + "." + name);
}

Napi::TypedArray Fields::array(const char* name, napi_typedarray_type type, int64_t length) const {
  const Napi::Value value = object_.Get(name);
  const bool fits = value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type &&
                    value.As<Napi::TypedArray>().ElementLength() == static_cast<size_t>(length);
  if (fits) return value.As<Napi::TypedArray>();
  static const std::map<napi_typedarray_type, const char*> names{
      {napi_uint8_array, "Uint8Array"},
      {napi_int32_array, "Int32Array"},
      {napi_float32_array, "Float32Array"},
      {napi_float64_array, "Float64Array"}};
  std::string received = "something else";
  if (value.IsTypedArray()) {
    const auto given = value.As<Napi::TypedArray>();
    const auto name_of = names.find(given.TypedArrayType());
    received = (name_of == names.end() ? "another array" : name_of->second) + std::string(" of ") +
               std::to_string(given.ElementLength());
  }
  throw Error("E_ARGUMENT", who_ + ": expected " + name + " to be " + names.at(type) + " of " +
                                std::to_string(length) + " elements but received " + received +
                                ".");
}

int64_t size_of(const Fields& fields, const char* name) {
  const int64_t size = fields.integer(name);
  if (size < 1 || size > max_size) fields.refuse(name, "1.." + std::to_string(max_size));
  return size;
}

ModelConfig model_config(const Fields& fields) {
  ModelConfig config;
  config.backbone = fields.text("backbone");
  config.head = fields.text("head");
  config.num_classes = fields.integer("numClasses");
  config.channels_per_class = fields.integer("channelsPerClass");
  if (config.num_classes > max_size || config.channels_per_class > max_size / 256) {
    fields.refuse("numClasses", "such that the model fits into memory");
  }
  const Fields input = fields.object("input");
  config.input_height = size_of(input, "height");
  config.input_width = size_of(input, "width");
  config.impl = impl_of(fields);
  if (fields.has("classifier")) config.classifier = classifier_config(fields.object("classifier"));
  return config;
}

TrainerConfig trainer_config(const Napi::Value& value) {
  const Fields fields(value, "NativeTrainer.create");
  TrainerConfig config;
  config.model = model_config(fields.object("model"));
  config.loss = loss_config(fields.object("loss"));
  const Fields optim = fields.object("optim");
  config.optim.momentum = optim.number("momentum");
  if (!(config.optim.momentum >= 0 && config.optim.momentum < 1)) {
    optim.refuse("momentum", "in [0, 1)");
  }
  config.optim.nesterov = optim.boolean("nesterov");
  config.optim.weight_decay = not_negative(optim, "weightDecay");
  config.optim.head_lr_scale = not_negative(optim, "headLrScale");
  config.init_seed = static_cast<uint64_t>(fields.integer("initSeed"));
  config.device = fields.text("device");
  const std::string precision = fields.text("precision");
  if (precision != "fp32" && precision != "bf16") fields.refuse("precision", "fp32 or bf16");
  config.precision = precision == "bf16" ? Precision::bf16 : Precision::fp32;
  config.channels_last = fields.boolean("channelsLast");
  const int64_t threads = fields.integer("threads");
  if (threads < 1 || threads > 1024) fields.refuse("threads", "1..1024");
  config.threads = static_cast<int>(threads);
  config.settings = run_settings(fields.object("settings"));
  config.mean = per_channel(fields, "mean");
  config.std = per_channel(fields, "std");
  config.rank = static_cast<int>(fields.integer("rank"));
  config.world_size = static_cast<int>(fields.integer("worldSize"));
  if (config.rank != 0 || config.world_size != 1) {
    fields.refuse("worldSize", "1 (this version trains on one device)");
  }
  return config;
}

McWeights mc_weights(const Fields& fields) {
  McWeights weights;
  const std::string form = fields.text("form");
  if (form == "paper") {
    weights.form = LossForm::paper;
    weights.mu = not_negative(fields, "mu");
    weights.lambda = not_negative(fields, "lambda");
  } else if (form == "official") {
    weights.form = LossForm::official;
    weights.alpha = not_negative(fields, "alpha");
    weights.beta = not_negative(fields, "beta");
  } else {
    fields.refuse("form", "paper or official");
  }
  return weights;
}

Keep keep_of(const Fields& fields) {
  const char* const expected = "'ceil-half' or a ratio in (0, 1]";
  if (fields.value("keep").IsString()) {
    if (fields.text("keep") != "ceil-half") fields.refuse("keep", expected);
    return {};
  }
  const double ratio = fields.number("keep");
  if (!(ratio > 0 && ratio <= 1)) fields.refuse("keep", expected);
  return {ratio};
}

Impl impl_of(const Fields& fields) {
  if (!fields.has("impl")) return Impl::fused;
  const std::string impl = fields.text("impl");
  if (impl != "fused" && impl != "reference") fields.refuse("impl", "fused or reference");
  return impl == "fused" ? Impl::fused : Impl::reference;
}

MaskScope mask_scope_of(const Fields& fields) {
  const std::string scope = fields.text("maskScope");
  if (scope != "batch" && scope != "sample") fields.refuse("maskScope", "batch or sample");
  return scope == "batch" ? MaskScope::batch : MaskScope::sample;
}

StepArgs step_args(const Napi::Value& value) {
  const Fields fields(value, "trainer.step");
  StepArgs args;
  args.step = fields.integer("step");
  if (args.step > UINT32_MAX) fields.refuse("step", "0..2^32-1");
  args.seed = static_cast<uint64_t>(fields.integer("seed"));
  args.lr = fields.number("lr");
  if (!std::isfinite(args.lr) || args.lr < 0) fields.refuse("lr", "a finite number >= 0");
  if (fields.has("scalar")) args.scalar = fields.number("scalar");
  if (!std::isfinite(args.scalar)) fields.refuse("scalar", "a finite number");
  if (fields.has("microBatch")) args.micro_batch = size_of(fields, "microBatch");
  return args;
}

KeptBatch batch_of(const Napi::Value& value, bool with_labels) {
  const Fields fields(value, "batch");
  KeptBatch kept;
  Batch& batch = kept.batch;
  batch.count = size_of(fields, "count");
  // Each buffer is asked for once: a getter may give another one the next time.
  const auto buffer = [&](const char* name, napi_typedarray_type type, int64_t length) {
    const Napi::TypedArray array = fields.array(name, type, length);
    kept.keep.push_back(Napi::Persistent(array.As<Napi::Object>()));
    return array;
  };
  if (fields.has("store")) {
    const auto& stores = value.Env().GetInstanceData<AddonData>()->stores;
    const auto store = stores.find(fields.integer("store"));
    if (store == stores.end()) fields.refuse("store", "an open store");
    batch.store = store->second;
    batch.rows = buffer("rows", napi_int32_array, batch.count).As<Napi::Int32Array>().Data();
  } else {
    batch.height = size_of(fields, "height");
    batch.width = size_of(fields, "width");
    const int64_t lines = batch.count * batch.height;  // < 2^48
    if (lines > INT64_MAX / (batch.width * 3)) fields.refuse("count", "smaller");
    batch.pixels =
        buffer("pixels", napi_uint8_array, lines * batch.width * 3).As<Napi::Uint8Array>().Data();
  }
  batch.windows =
      buffer("windows", napi_int32_array, batch.count * 3).As<Napi::Int32Array>().Data();
  if (fields.has("jitter")) {
    batch.jitter =
        buffer("jitter", napi_float32_array, batch.count * 3).As<Napi::Float32Array>().Data();
  }
  if (with_labels) {
    batch.labels = buffer("labels", napi_int32_array, batch.count).As<Napi::Int32Array>().Data();
  }
  return kept;
}

Napi::Value to_js(Napi::Env env, const StepStats& stats) {
  Napi::Object object = Napi::Object::New(env);
  object["steps"] = static_cast<double>(stats.steps);
  object["skipped"] = static_cast<double>(stats.skipped);
  object["n"] = static_cast<double>(stats.n);
  object["correct"] = static_cast<double>(stats.correct);
  object["loss"] = stats.loss;
  Napi::Object parts = Napi::Object::New(env);
  for (const auto& [name, sum] : stats.parts) parts[name] = sum;
  object["parts"] = parts;
  object["gradNorm"] = stats.grad_norm;
  object["ms"] = stats.ms;
  Napi::Array warnings = Napi::Array::New(env, stats.warnings.size());
  for (uint32_t i = 0; i < stats.warnings.size(); ++i) warnings[i] = stats.warnings[i];
  object["warnings"] = warnings;
  return object;
}

Napi::Value to_js(Napi::Env env, const EvalStats& stats) {
  Napi::Object object = Napi::Object::New(env);
  object["n"] = static_cast<double>(stats.n);
  object["top1"] = static_cast<double>(stats.top1);
  object["top5"] = static_cast<double>(stats.top5);
  object["lossSum"] = stats.loss_sum;
  Napi::Int32Array predictions = Napi::Int32Array::New(env, stats.predictions.size());
  std::copy(stats.predictions.begin(), stats.predictions.end(), predictions.Data());
  object["predictions"] = predictions;
  return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

std::string string_of(const Napi::Value& value, const std::string& who) {
  if (!value.IsString()) throw Error("E_ARGUMENT", who + ": expected a string.");
  return value.As<Napi::String>().Utf8Value();
}

std::map<std::string, std::string> string_map(const Napi::Value& value, const std::string& who) {
  if (!value.IsObject()) throw Error("E_ARGUMENT", who + ": expected an object of strings.");
  std::map<std::string, std::string> map;
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = Napi::Value(names[i]).ToString().Utf8Value();
    map[name] = string_of(object.Get(Napi::Value(names[i])), who + "." + name);
  }
  return map;
}

}  // namespace mcloss
