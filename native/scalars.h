// A scalar from outside becomes a record's field, checked by the field's type and Range (types.h).
#pragma once

#include <cmath>
#include <concepts>
#include <optional>
#include <string>
#include <type_traits>

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

inline std::optional<Expected> assign(const Scalar* value, CosineScale& field) {
  const auto* const text = std::get_if<std::string>(value);
  const auto* const factor = std::get_if<double>(value);
  if (!(text && *text == "norm") && !(factor && holds(ranges::positive, *factor))) {
    return "'norm' or a finite number > 0";
  }
  field = factor ? *factor : 0;
  return {};
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

}  // namespace mcloss
