#include "napi/fields.h"

namespace mcloss {

Fields::Fields(const Napi::Value& value, std::string who) : who_(std::move(who)) {
  if (!value.IsObject()) throw Error("E_ARGUMENT", who_ + ": expected an object.");
  object_ = value.As<Napi::Object>();
}

void Fields::refuse(const std::string& name, const Napi::Value& received,
                    const std::string& expected) const {
  throw Error("E_ARGUMENT", who_ + ": expected " + name + " to be " + expected + " but received " +
                                received.ToString().Utf8Value().substr(0, 80) + ".");
}

std::optional<Scalar> Fields::scalar_of(const Napi::Value& value) {
  if (value.IsNumber()) return value.As<Napi::Number>().DoubleValue();
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  return {};
}

void Fields::others(std::map<std::string, Scalar>& scalars, const std::string& known) const {
  napi_value keys = nullptr;
  NAPI_THROW_IF_FAILED_VOID(
      object_.Env(), napi_get_all_property_names(
                         object_.Env(), object_, napi_key_own_only,
                         static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                         napi_key_numbers_to_strings, &keys));
  const Napi::Array names(object_.Env(), keys);
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).As<Napi::String>().Utf8Value();
    const Napi::Value value = object_.Get(names.Get(i));
    if (name == known || value.IsUndefined()) continue;
    const std::optional<Scalar> scalar = scalar_of(value);
    if (!scalar) refuse(name, value, "a number, a string, true or false");
    scalars[name] = *scalar;
  }
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

std::string string_of(const Napi::Value& value, const std::string& who) {
  if (!value.IsString()) throw Error("E_ARGUMENT", who + ": expected a string.");
  return value.As<Napi::String>().Utf8Value();
}

}  // namespace mcloss
