#include "losses/loss.h"

#include "losses/cross_entropy.h"
#include "losses/mc.h"

namespace mcloss {

std::shared_ptr<Loss> make_loss(const LossConfig& config, int64_t num_classes) {
  if (config.name == "cross-entropy") return std::make_shared<CrossEntropy>();
  if (config.name == "mc") return std::make_shared<Mc>(config, num_classes);
  throw Error("E_CONFIG",
              "loss: expected name cross-entropy or mc but received '" + config.name + "'.");
}

}  // namespace mcloss
