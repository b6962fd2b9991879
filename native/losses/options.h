// How a loss reads its options: each in one place, by its JavaScript name, checked by the type and Range
// of the field it fills (scalars.h).
#pragma once

#include <set>
#include <string>

#include "scalars.h"
#include "types.h"

namespace mcloss {

// A visitor as the records of types.h take one. Every error is E_ARGUMENT and names the loss, the
// option, what was expected and what was received.
class LossOptions {
 public:
  explicit LossOptions(const LossConfig& config);

  template <typename T, typename... Rule>
  void operator()(const char* name, T& field, const Rule&... rule) {
    unread_.erase(name);
    const auto found = config_.options.find(name);
    const Scalar* const value = found == config_.options.end() ? nullptr : &found->second;
    if (const auto expected = assign(value, field, rule...)) refuse(name, *expected);
  }
  // Left out: the field stays as it is.
  template <typename T, typename... Rule>
  void optional(const char* name, T& field, const Rule&... rule) {
    if (config_.options.contains(name)) (*this)(name, field, rule...);
  }
  template <typename T, typename... Rule>
  T get(const char* name, const Rule&... rule) {
    T value{};
    (*this)(name, value, rule...);
    return value;
  }

  // Its schedule reads it, and the loss gets what that gives (LossInput::scalar).
  void of_schedule(const char* name) { unread_.erase(name); }

  // Throws for an option that was not read.
  void refuse_unread() const;

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;

  const LossConfig config_;
  std::set<std::string> unread_;
};

}  // namespace mcloss
