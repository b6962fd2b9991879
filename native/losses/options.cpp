#include "losses/options.h"

#include <c10/util/StringUtil.h>

namespace mcloss {

LossOptions::LossOptions(const LossConfig& config) : config_(config) {
  for (const auto& [name, value] : config.options) unread_.insert(name);
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
