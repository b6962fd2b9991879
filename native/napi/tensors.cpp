#include "napi/tensors.h"

#include <ATen/ops/from_blob.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <map>

namespace mcloss {
namespace {

template <typename Array, typename T>
Napi::Value copied(Napi::Env env, const at::Tensor& tensor) {
  const auto count = static_cast<size_t>(tensor.numel());
  Array array = Array::New(env, count);
  std::copy_n(tensor.const_data_ptr<T>(), count, array.Data());
  return array;
}

}  // namespace

at::Tensor Views::of(const Fields& fields, const char* name, at::ScalarType dtype,
                     at::IntArrayRef shape) {
  static const std::map<at::ScalarType, napi_typedarray_type> types{
      {at::kByte, napi_uint8_array},
      {at::kInt, napi_int32_array},
      {at::kFloat, napi_float32_array},
      {at::kDouble, napi_float64_array}};
  const Napi::TypedArray array = fields.array(name, types.at(dtype), c10::multiply_integers(shape));
  keep.push_back(Napi::Persistent(array.As<Napi::Object>()));
  void* begin = nullptr;  // also of a SharedArrayBuffer, which ArrayBuffer() does not take
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &begin, nullptr, nullptr);
  return at::from_blob(begin, shape, dtype);
}

at::ScalarType float_dtype_of(const Napi::Value& value) {
  const bool is_double =
      value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float64_array;
  return is_double ? at::kDouble : at::kFloat;
}

Napi::Value array_of(Napi::Env env, const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return dense.scalar_type() == at::kDouble ? copied<Napi::Float64Array, double>(env, dense)
                                            : copied<Napi::Float32Array, float>(env, dense);
}

}  // namespace mcloss
