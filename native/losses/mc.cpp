#include "losses/mc.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>

#include "ops/channel_groups.h"
#include "scalars.h"

namespace mcloss {

McOptions mc_options(const LossConfig& config) {
  McOptions options;
  const ScalarFields scalars(config.options, "loss");
  options.fields(scalars);
  return options;
}

LossOutput Mc::forward(const LossInput& input) {
  const ChannelGroups groups(input.features.size(1), num_classes_);
  const at::Tensor mask = cwa_mask(groups, options_.keep, options_.mask_scope, input.seed_step,
                                   input.features.size(0), input.first_sample);
  const auto form = options_.impl == Impl::fused ? &mc_loss : &mc_loss_reference;
  const McLoss mc = form(input.features, input.target, num_classes_, mask, options_.weights);
  const at::Tensor ce = at::cross_entropy_loss(input.logits, input.target);
  return {ce + mc.loss, {{"ce", ce}, {"dis", mc.dis}, {"div", mc.div}}};
}

}  // namespace mcloss
