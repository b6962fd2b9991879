// A JavaScript object's members, read once each: the visitor that fills any record of types.h. lib/
// has validated already: here only what could crash is checked, and every refusal is an E_ARGUMENT.
#pragma once

#include <napi.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scalars.h"
#include "types.h"

namespace mcloss {

class Fields;

template <typename T>
concept Record = requires(T& record, const Fields& fields) { record.fields(fields); };

class Fields {
 public:
  // who: begins every message.
  Fields(const Napi::Value& value, std::string who);

  template <typename T, typename... Rule>
  void operator()(const char* name, T& field, const Rule&... rule) const {
    take(name, object_.Get(name), field, rule...);
  }
  // Left out: the field stays as it is.
  template <typename T, typename... Rule>
  void optional(const char* name, T& field, const Rule&... rule) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsUndefined()) take(name, value, field, rule...);
  }
  // An object whose members are fields of the same record: read(its Fields).
  template <typename Read>
  void object(const char* name, const Read& read) const {
    const Fields members(object_.Get(name), who_ + "." + name);
    read(members);
  }
  // Every member of its own but `known`.
  void others(std::map<std::string, Scalar>& scalars, const std::string& known) const;

  // One member alone.
  template <typename T, typename... Rule>
  T get(const char* name, const Rule&... rule) const {
    T value{};
    (*this)(name, value, rule...);
    return value;
  }
  Napi::Value value(const char* name) const { return object_.Get(name); }
  bool has(const char* name) const { return !object_.Get(name).IsUndefined(); }
  // A typed array of `type` with exactly `length` elements.
  Napi::TypedArray array(const char* name, napi_typedarray_type type, int64_t length) const;

  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const {
    refuse(name, object_.Get(name), expected);
  }

 private:
  template <typename T, typename... Rule>
  void take(const std::string& name, const Napi::Value& value, T& field,
            const Rule&... rule) const {
    if constexpr (Record<T>) {
      const Fields members(value, who_ + "." + name);
      field.fields(members);
    } else {
      const std::optional<Scalar> scalar = scalar_of(value);
      const auto expected = assign(scalar ? &*scalar : nullptr, field, rule...);
      if (expected) refuse(name, value, *expected);
    }
  }

  template <typename T, typename... Rule>
  void take(const std::string& name, const Napi::Value& value, std::vector<T>& field,
            const Rule&... rule) const {
    if (!value.IsArray()) refuse(name, value, "an array");
    const auto array = value.As<Napi::Array>();
    field.clear();
    for (uint32_t i = 0; i < array.Length(); ++i) {
      take(name + "[" + std::to_string(i) + "]", array.Get(i), field.emplace_back(), rule...);
    }
  }

  template <typename T, size_t count, typename... Rule>
  void take(const std::string& name, const Napi::Value& value, std::array<T, count>& field,
            const Rule&... rule) const {
    if (!value.IsArray() || value.As<Napi::Array>().Length() != count) {
      refuse(name, value, "an array of " + std::to_string(count) + " numbers");
    }
    for (uint32_t i = 0; i < count; ++i) {
      take(name + "[" + std::to_string(i) + "]", value.As<Napi::Array>().Get(i), field[i], rule...);
    }
  }

  static std::optional<Scalar> scalar_of(const Napi::Value& value);
  [[noreturn]] void refuse(const std::string& name, const Napi::Value& received,
                           const std::string& expected) const;

  Napi::Object object_;
  std::string who_;
};

// A record that is a whole argument.
template <Record T>
T record_of(const Napi::Value& value, const char* who) {
  T record;
  const Fields members(value, who);
  record.fields(members);
  return record;
}

std::string string_of(const Napi::Value& value, const std::string& who);

}  // namespace mcloss
