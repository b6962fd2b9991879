#include "losses/mc.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "ops/cwa_mask.h"

namespace mcloss {

LossOutput Mc::forward(const LossInput& input) {
  const ChannelGroups groups(input.features.size(1), num_classes_);
  const at::Tensor mask = cwa_mask(groups, config_.keep, config_.mask_scope, input.seed_step,
                                   input.features.size(0), input.first_sample);
  const auto form = config_.impl == Impl::fused ? &mc_loss : &mc_loss_reference;
  const McLoss mc =
      form(input.features, input.target, num_classes_, mask, mc_terms(config_.weights));
  const at::Tensor ce = at::cross_entropy_loss(input.logits, input.target);
  return {ce + mc.loss, {{"ce", ce}, {"dis", mc.dis}, {"div", mc.div}}};
}

}  // namespace mcloss
