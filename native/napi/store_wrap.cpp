#include "napi/store_wrap.h"

#include "io/pixel_store.h"
#include "napi/addon_data.h"
#include "napi/async_op.h"
#include "napi/convert.h"
#include "napi/failure.h"
#include "train/device/device.h"

namespace mcloss {
namespace {

StoreLayout layout_of(const Fields& fields) {
  StoreLayout layout;
  layout.path = fields.text("path");
  layout.file_bytes = fields.integer("fileBytes");
  layout.offset = fields.integer("offset");
  layout.count = size_of(fields, "count");
  layout.height = size_of(fields, "height");
  layout.width = size_of(fields, "width");
  // Products of the three stay below 2^63.
  if (layout.count * layout.height > (int64_t{1} << 53) / layout.width / 3) {
    fields.refuse("count", "smaller");
  }
  return layout;
}

StoreMode mode_of(const Fields& fields) {
  const std::string mode = fields.text("mode");
  if (mode == "mmap") return StoreMode::mmap;
  if (mode == "ram") return StoreMode::ram;
  if (mode != "gpu") fields.refuse("mode", "mmap, ram or gpu");
  require_device("cuda");
  return StoreMode::gpu;
}

Napi::Value open_store(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "openStore");
    const StoreLayout layout = layout_of(fields);
    const StoreMode mode = mode_of(fields);
    const auto store = std::make_shared<std::shared_ptr<const PixelStore>>();
    const auto run = [=] { *store = std::make_shared<const PixelStore>(layout, mode); };
    const auto result = [store](Napi::Env env) -> Napi::Value {
      auto* const data = env.GetInstanceData<AddonData>();
      const int64_t number = ++data->stores_opened;
      data->stores[number] = *store;
      return Napi::Number::New(env, static_cast<double>(number));
    };
    return AsyncOp::start(info.Env(), run, result, {});
  });
}

void close_store(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Value number = info[0];
    // A step in flight keeps its own reference.
    if (number.IsNumber()) {
      info.Env().GetInstanceData<AddonData>()->stores.erase(number.As<Napi::Number>().Int64Value());
    }
    return info.Env().Undefined();
  });
}

}  // namespace

void export_stores(Napi::Env env, Napi::Object exports) {
  exports["openStore"] = Napi::Function::New(env, open_store, "openStore");
  exports["closeStore"] = Napi::Function::New(env, close_store, "closeStore");
}

}  // namespace mcloss
