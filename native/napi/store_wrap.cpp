#include "napi/store_wrap.h"

#include "io/pixel_store.h"
#include "napi/addon_data.h"
#include "napi/async_op.h"
#include "napi/failure.h"
#include "napi/fields.h"
#include "train/device/device.h"

namespace mcloss {
namespace {

Napi::Value open_store(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const auto layout = record_of<StoreLayout>(info[0], "openStore");
    if (layout.mode == StoreMode::gpu) require_device("cuda");
    const auto store = std::make_shared<std::shared_ptr<const PixelStore>>();
    const auto run = [=] { *store = std::make_shared<const PixelStore>(layout); };
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
