// A scalar from outside becomes a record's field, checked by the field's type and Range (types.h).
#pragma once

#include <cmath>
#include <concepts>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "types.h"

namespace mcloss {

// What a value should have been.
using Expected = std::string;

inline Expected text_of(const Range& range) {
  if (range.words) return range.words;
  return std::to_string(int64_t(range.least)) + ".." + std::to_string(int64_t(range.most));
}

inline bool holds(const Range& range, double value) {
  return value >= range.least && value <= range.most;  // not for NaN
}

// Each assign() takes `value` (null: of none of the types) into `field`, or says what it should be.

inline std::optional<Expected> assign(const Scalar* value, std::string& field) {
  const auto* const text = std::get_if<std::string>(value);
  if (!text) return "a string";
  field = *text;
  return {};
}

inline std::optional<Expected> assign(const Scalar* value, bool& field) {
  const auto* const truth = std::get_if<bool>(value);
  if (!truth) return "true or false";
  field = *truth;
  return {};
}

template <std::floating_point T>
std::optional<Expected> assign(const Scalar* value, T& field) {
  const auto* const number = std::get_if<double>(value);
  if (!number) return "a number";
  field = static_cast<T>(*number);
  return {};
}

template <std::floating_point T>
std::optional<Expected> assign(const Scalar* value, T& field, const Range& range) {
  const auto* const number = std::get_if<double>(value);
  if (!number || !holds(range, *number)) return text_of(range);
  field = static_cast<T>(*number);
  return {};
}

template <std::integral T>
std::optional<Expected> assign(const Scalar* value, T& field, const Range& range = {}) {
  const auto* const number = std::get_if<double>(value);
  if (!number || !holds({}, *number) || *number != std::floor(*number)) {
    return "an integer 0..2^53-1";
  }
  if (!holds(range, *number)) return text_of(range);
  field = static_cast<T>(*number);
  return {};
}

template <typename T>
  requires std::is_enum_v<T>
std::optional<Expected> assign(const Scalar* value, T& field) {
  constexpr auto names = names_of(T{});
  const auto* const text = std::get_if<std::string>(value);
  for (size_t i = 0; i < names.size(); ++i) {
    if (text && *text == names[i]) {
      field = static_cast<T>(i);
      return {};
    }
  }
  Expected expected;
  for (size_t i = 0; i < names.size(); ++i) {
    expected += (i == 0 ? "" : i + 1 < names.size() ? ", " : " or ") + std::string(names[i]);
  }
  return expected;
}

inline std::optional<Expected> assign(const Scalar* value, Keep& field) {
  const auto* const text = std::get_if<std::string>(value);
  const auto* const ratio = std::get_if<double>(value);
  if (!(text && *text == "ceil-half") && !(ratio && *ratio > 0 && *ratio <= 1)) {
    return "'ceil-half' or a ratio in (0, 1]";
  }
  field.ratio = ratio ? *ratio : 0;
  return {};
}

// The visitor that fills a record from scalars by name, a loss's options say. `who` begins every
// message.
class ScalarFields {
 public:
  ScalarFields(const std::map<std::string, Scalar>& scalars, std::string who)
      : scalars_(scalars), who_(std::move(who)) {}

  template <typename T, typename... Rule>
  void operator()(const char* name, T& field, const Rule&... rule) const {
    const auto found = scalars_.find(name);
    const Scalar* const value = found == scalars_.end() ? nullptr : &found->second;
    const std::optional<Expected> expected = assign(value, field, rule...);
    if (!expected) return;
    std::ostringstream received;
    if (value) std::visit([&](const auto& it) { received << std::boolalpha << it; }, *value);
    throw Error("E_ARGUMENT", who_ + ": expected " + name + " to be " + *expected +
                                  " but received " + (value ? received.str() : "nothing") + ".");
  }

  template <typename T, typename... Rule>
  void optional(const char* name, T& field, const Rule&... rule) const {
    if (scalars_.contains(name)) (*this)(name, field, rule...);
  }

 private:
  const std::map<std::string, Scalar>& scalars_;
  std::string who_;
};

}  // namespace mcloss
