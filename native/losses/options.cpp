#include "losses/options.h"

#include <c10/util/StringUtil.h>

#include <cmath>

namespace mcloss {

LossOptions::LossOptions(const LossConfig& config) : config_(config) {
  for (const auto& [name, value] : config.options) unread_.insert(name);
}

const LossConfig::Value* LossOptions::read(const char* name) {
  unread_.erase(name);
  const auto found = config_.options.find(name);
  return found == config_.options.end() ? nullptr : &found->second;
}

double LossOptions::number(const char* name, const NumberRange& range,
                           std::optional<double> otherwise) {
  const LossConfig::Value* const value = read(name);
  if (value == nullptr && otherwise) return *otherwise;
  const double* const number = value == nullptr ? nullptr : std::get_if<double>(value);
  if (number == nullptr || !std::isfinite(*number) || !range.holds(*number)) {
    refuse(name, range.expected);
  }
  return *number;
}

size_t LossOptions::choice(const char* name, std::initializer_list<const char*> choices,
                           std::optional<size_t> otherwise) {
  const LossConfig::Value* const value = read(name);
  if (value == nullptr && otherwise) return *otherwise;
  const std::string* const text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  std::string expected;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (text != nullptr && *text == choices.begin()[i]) return i;
    expected += (i > 0 ? " or " : "") + std::string(choices.begin()[i]);
  }
  refuse(name, expected);
}

bool LossOptions::is_text(const char* name) const {
  const auto found = config_.options.find(name);
  return found != config_.options.end() && std::holds_alternative<std::string>(found->second);
}

void LossOptions::refuse(const std::string& name, const std::string& expected) const {
  const auto found = config_.options.find(name);
  const std::string received =
      found == config_.options.end()
          ? "nothing"
          : std::visit([](const auto& value) { return c10::str(std::boolalpha, value); },
                       found->second);
  throw Error("E_ARGUMENT", c10::str("loss ", config_.name, ": expected ", name, " to be ",
                                     expected, " but received ", received.substr(0, 80), "."));
}

void LossOptions::refuse_unread() const {
  if (!unread_.empty()) refuse(*unread_.begin(), "left out: this loss has no such option");
}

}  // namespace mcloss
