// How a loss reads its options: each in one place, by its JavaScript name and with what it may be.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>

#include "types.h"

namespace mcloss {

// Which finite numbers an option takes.
struct NumberRange {
  const char* expected;
  bool (*holds)(double value);
};
inline constexpr NumberRange not_negative{"a finite number >= 0", [](double x) { return x >= 0; }};
inline constexpr NumberRange positive{"a finite number > 0", [](double x) { return x > 0; }};
inline constexpr NumberRange up_to_one{"a number in (0, 1]",
                                       [](double x) { return x > 0 && x <= 1; }};
inline constexpr NumberRange below_one{"a number in [0, 1)",
                                       [](double x) { return x >= 0 && x < 1; }};

// Every error is E_ARGUMENT and names the loss, the option, what was expected and what was received.
class LossOptions {
 public:
  explicit LossOptions(const LossConfig& config);

  // otherwise: where the option may be left out.
  double number(const char* name, const NumberRange& range,
                std::optional<double> otherwise = std::nullopt);
  // One of `choices`, as its position among them.
  size_t choice(const char* name, std::initializer_list<const char*> choices,
                std::optional<size_t> otherwise = std::nullopt);
  bool is_text(const char* name) const;

  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;
  // Throws for an option that was not read.
  void refuse_unread() const;

 private:
  const LossConfig::Value* read(const char* name);  // null: left out

  const LossConfig config_;
  std::set<std::string> unread_;
};

}  // namespace mcloss
