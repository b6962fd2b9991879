#include "train/step/resumed_state.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "types.h"

namespace mcloss {

void check_resumed(const NamedTensors& own, const WeightFile& saved) {
  std::map<std::string, at::IntArrayRef> given;
  for (const StoredTensor& tensor : saved.tensors()) given.emplace(tensor.name, tensor.shape);
  const auto fits = [&](const auto& item) {
    const auto found = given.find(item.first);
    return found != given.end() && found->second == item.second.sizes();
  };
  if (given.size() != own.size() || !std::all_of(own.begin(), own.end(), fits)) {
    throw Error("E_CHECKPOINT",
                "optimizer: the state of the optimizer, the loss and optim.ema in " + saved.path() +
                    " is not that of this configuration. Resume with the one the run was started "
                    "with.");
  }
}

void load_resumed(const NamedTensors& own, const WeightFile& saved) {
  const c10::NoGradGuard no_grad;
  const std::map<std::string, at::Tensor> tensors(own.begin(), own.end());
  for (const StoredTensor& tensor : saved.tensors()) saved.copy(tensor, tensors.at(tensor.name));
}

}  // namespace mcloss
