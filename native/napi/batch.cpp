#include "napi/batch.h"

#include "napi/addon_data.h"
#include "napi/fields.h"

namespace mcloss {

KeptBatch batch_of(const Napi::Value& value, bool with_labels) {
  const Fields fields(value, "batch");
  KeptBatch kept;
  Batch& batch = kept.batch;
  batch.count = fields.get<int64_t>("count", ranges::size);
  // Each buffer is asked for once: a getter may give another one the next time.
  const auto buffer = [&](const char* name, napi_typedarray_type type, int64_t length) {
    const Napi::TypedArray array = fields.array(name, type, length);
    kept.keep.push_back(Napi::Persistent(array.As<Napi::Object>()));
    return array;
  };
  if (fields.has("store")) {
    const auto& stores = value.Env().GetInstanceData<AddonData>()->stores;
    const auto store = stores.find(fields.get<int64_t>("store"));
    if (store == stores.end()) fields.refuse("store", "an open store");
    batch.store = store->second;
    batch.rows = buffer("rows", napi_int32_array, batch.count).As<Napi::Int32Array>().Data();
  } else {
    batch.height = fields.get<int64_t>("height", ranges::size);
    batch.width = fields.get<int64_t>("width", ranges::size);
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
  if (fields.has("erased")) {
    batch.erased =
        buffer("erased", napi_int32_array, batch.count * 4).As<Napi::Int32Array>().Data();
  }
  if (with_labels) {
    batch.labels = buffer("labels", napi_int32_array, batch.count).As<Napi::Int32Array>().Data();
  }
  return kept;
}

}  // namespace mcloss
