// What native has made as JavaScript values: numbers, texts, arrays, and any record of types.h.
#pragma once

#include <napi.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mcloss {

template <typename T>
  requires std::integral<T> || std::floating_point<T>
Napi::Value to_js(Napi::Env env, T number) {
  return Napi::Number::New(env, static_cast<double>(number));
}

inline Napi::Value to_js(Napi::Env env, const std::string& text) {
  return Napi::String::New(env, text);
}

// Of floats and int32s a typed array, of named values an object.
template <typename T>
Napi::Value to_js(Napi::Env env, std::vector<T>& values) {
  if constexpr (std::same_as<T, float> || std::same_as<T, int32_t>) {
    auto array = Napi::TypedArrayOf<T>::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
  } else if constexpr (std::same_as<T, std::pair<std::string, double>>) {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [name, value] : values) object[name] = value;
    return object;
  } else {
    Napi::Array array = Napi::Array::New(env, values.size());
    for (uint32_t i = 0; i < values.size(); ++i) array[i] = to_js(env, values[i]);
    return array;
  }
}

// The visitor that writes a record's fields.
struct ResultFields {
  template <typename T>
  void operator()(const char* name, T& field) const {
    object[name] = to_js(env, field);
  }

  Napi::Env env;
  mutable Napi::Object object;
};

template <typename T>
  requires requires(T& record, const ResultFields& fields) { record.fields(fields); }
Napi::Value to_js(Napi::Env env, T& record) {
  const ResultFields fields{env, Napi::Object::New(env)};
  record.fields(fields);
  return fields.object;
}

}  // namespace mcloss
