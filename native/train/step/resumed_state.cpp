#include "train/step/resumed_state.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "types.h"

namespace mcloss {

void check_resumed(const NamedTensors& own, const NamedTensors& saved, const std::string& source) {
  const std::map<std::string, at::Tensor> given(saved.begin(), saved.end());
  const auto fits = [&](const auto& item) {
    const auto found = given.find(item.first);
    return found != given.end() && found->second.sizes() == item.second.sizes();
  };
  if (given.size() != own.size() || !std::all_of(own.begin(), own.end(), fits)) {
    throw Error("E_CHECKPOINT", "optimizer: the velocities and the loss's own state in " + source +
                                    " are not those of this model and loss. Resume with the "
                                    "configuration the run was started with.");
  }
}

void load_resumed(const NamedTensors& own, const NamedTensors& saved) {
  const c10::NoGradGuard no_grad;
  const std::map<std::string, at::Tensor> given(saved.begin(), saved.end());
  for (const auto& [name, tensor] : own) tensor.copy_(given.at(name));
}

}  // namespace mcloss
