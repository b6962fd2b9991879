#include "napi/ops_wrap.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "io/pixel_store.h"
#include "models/classifier.h"
#include "napi/async_op.h"
#include "napi/batch.h"
#include "napi/failure.h"
#include "napi/tensors.h"
#include "ops/channel_groups.h"
#include "ops/cwa_mask.h"
#include "ops/mc_loss.h"
#include "ops/resize.h"
#include "ops/seed_step.h"
#include "train/step/batch_input.h"

namespace mcloss {
namespace {

Napi::Value map_shape_js(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const MapShape shape = map_shape(record_of<ModelConfig>(info[0], "mapShape"));
    Napi::Object object = Napi::Object::New(info.Env());
    object["channels"] = static_cast<double>(shape.channels);
    object["height"] = static_cast<double>(shape.height);
    object["width"] = static_cast<double>(shape.width);
    return object;
  });
}

int64_t integer_argument(const Napi::CallbackInfo& info, size_t index, const char* who) {
  const double value = info[index].IsNumber() ? info[index].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 1 && value <= max_size) || value != static_cast<double>(int64_t(value))) {
    throw Error("E_ARGUMENT", std::string(who) + ": expected integers 1..2^24 but received " +
                                  info[index].ToString().Utf8Value() + ".");
  }
  return static_cast<int64_t>(value);
}

Napi::Value channel_groups_js(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ChannelGroups groups(integer_argument(info, 0, "channelGroups"),
                               integer_argument(info, 1, "channelGroups"));
    Napi::Array sizes = Napi::Array::New(info.Env(), static_cast<size_t>(groups.num_classes));
    for (int64_t cls = 0; cls < groups.num_classes; ++cls) {
      sizes[static_cast<uint32_t>(cls)] = static_cast<double>(groups.size(cls));
    }
    return sizes;
  });
}

Napi::Value cwa_mask_js(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "cwaMask");
    const ChannelGroups groups(fields.get<int64_t>("channels", ranges::size),
                               fields.get<int64_t>("classes", ranges::size));
    const at::Tensor seed_step =
        make_seed_step(fields.get<uint64_t>("seed"), fields.get<int64_t>("step"));
    const at::Tensor mask =
        cwa_mask(groups, fields.get<Keep>("keep"), fields.get<MaskScope>("maskScope"), seed_step,
                 fields.get<int64_t>("samples", ranges::size))
            .to(at::kByte)
            .contiguous();
    Napi::Uint8Array array = Napi::Uint8Array::New(info.Env(), static_cast<size_t>(mask.numel()));
    std::memcpy(array.Data(), mask.const_data_ptr(), static_cast<size_t>(mask.numel()));
    return array;
  });
}

struct McLossCall {
  at::Tensor features, target;  // over JavaScript's memory
  std::optional<at::Tensor> mask;
  int64_t num_classes;
  McWeights weights;
  Impl impl = Impl::fused;
  bool with_grad;
  McLoss result;
  at::Tensor grad;

  void run() {
    features.requires_grad_(with_grad);
    const auto form = impl == Impl::fused ? &mc_loss : &mc_loss_reference;
    result = form(features, target.to(at::kLong), num_classes, mask, mc_terms(weights));
    if (!with_grad) return;
    result.loss.backward();
    grad = features.grad().contiguous();
  }
};

Napi::Value mc_loss_js(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "mcLoss");
    const std::vector<int64_t> shape = fields.get<std::vector<int64_t>>("shape");
    const bool sizes = shape.size() == 4 && std::all_of(shape.begin(), shape.end(), [](int64_t n) {
                         return n >= 1 && n <= max_size;
                       });
    if (!sizes) fields.refuse("shape", "[N, C, H, W], each at least 1");
    const int64_t samples = shape[0], channels = shape[1];
    const int64_t rows = samples * channels;
    if (rows > INT64_MAX / (shape[2] * shape[3])) fields.refuse("shape", "smaller");
    const auto call = std::make_shared<McLossCall>();
    Views views;
    const at::ScalarType dtype = float_dtype_of(fields.value("features"));
    call->features = views.of(fields, "features", dtype, shape);
    call->target = views.of(fields, "target", at::kInt, {samples});
    if (fields.has("mask")) {
      const Napi::Value mask = fields.value("mask");
      const bool per_sample =
          mask.IsTypedArray() && samples > 1 &&
          mask.As<Napi::TypedArray>().ElementLength() == static_cast<size_t>(rows);
      const std::vector<int64_t> of_mask(shape.begin() + (per_sample ? 0 : 1), shape.begin() + 2);
      call->mask = views.of(fields, "mask", at::kByte, of_mask).to(at::kBool);
    }
    fields("numClasses", call->num_classes);
    fields("weights", call->weights);
    fields.optional("impl", call->impl);
    fields("grad", call->with_grad);

    const auto result = [call](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object["dis"] = call->result.dis.item<double>();
      object["div"] = call->result.div.item<double>();
      object["loss"] = call->result.loss.item<double>();
      object["classScores"] = array_of(env, call->result.class_scores.detach());
      object["grad"] = call->with_grad ? array_of(env, call->grad) : env.Null();
      return object;
    };
    return AsyncOp::start(info.Env(), [call] { call->run(); }, result, std::move(views.keep));
  });
}

Napi::Value resize_js(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "resize");
    const auto size = [&](const char* name) {
      return fields.get<int64_t>(name, Range{1, 1 << 20, "1..2^20"});
    };
    const int64_t height = size("height"), width = size("width");
    const int64_t out_height = size("outHeight"), out_width = size("outWidth");
    auto pixels =
        fields.array("pixels", napi_uint8_array, height * width * 3).As<Napi::Uint8Array>();
    auto out =
        fields.array("out", napi_uint8_array, out_height * out_width * 3).As<Napi::Uint8Array>();
    std::vector<Napi::ObjectReference> keep;
    keep.push_back(Napi::Persistent(pixels.As<Napi::Object>()));
    keep.push_back(Napi::Persistent(out.As<Napi::Object>()));
    uint8_t *const from = pixels.Data(), *const to = out.Data();
    const auto run = [=] {
      resize_u8_into(at::from_blob(from, {height, width, 3}, at::kByte),
                     at::from_blob(to, {out_height, out_width, 3}, at::kByte));
    };
    return AsyncOp::start(
        info.Env(), run, [](Napi::Env env) -> Napi::Value { return env.Undefined(); },
        std::move(keep));
  });
}

enum class GatherDtype { fp32, bf16, fp16 };
constexpr auto names_of(GatherDtype) { return std::array{"fp32", "bf16", "fp16"}; }

Napi::Value gather_augment_js(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    KeptBatch kept = batch_of(info[0], /*with_labels=*/false);
    const Batch batch = kept.batch;
    const Fields fields(info[1], "gatherAugment");
    GatherOptions options{
        fields.get<int64_t>("outHeight"), fields.get<int64_t>("outWidth"), {}, {}};
    fields("mean", options.mean);
    fields("std", options.std);
    GatherDtype dtype = GatherDtype::fp32;
    fields.optional("dtype", dtype);
    options.dtype = std::array{at::kFloat, at::kBFloat16, at::kHalf}[static_cast<size_t>(dtype)];
    const auto result = std::make_shared<at::Tensor>();
    const auto run = [=] {
      const at::Device device = batch.store ? batch.store->pixels().device() : at::Device(at::kCPU);
      *result =
          batch_input(batch, options, Uploader(device)).input.to(at::kCPU, at::kFloat).contiguous();
    };
    return AsyncOp::start(
        info.Env(), run, [result](Napi::Env env) { return array_of(env, *result); },
        std::move(kept.keep));
  });
}

}  // namespace

void export_ops(Napi::Env env, Napi::Object exports) {
  exports["mapShape"] = Napi::Function::New(env, map_shape_js, "mapShape");
  exports["channelGroups"] = Napi::Function::New(env, channel_groups_js, "channelGroups");
  exports["cwaMask"] = Napi::Function::New(env, cwa_mask_js, "cwaMask");
  exports["mcLoss"] = Napi::Function::New(env, mc_loss_js, "mcLoss");
  exports["resize"] = Napi::Function::New(env, resize_js, "resize");
  exports["gatherAugment"] = Napi::Function::New(env, gather_augment_js, "gatherAugment");
}

}  // namespace mcloss
