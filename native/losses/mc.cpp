// L = CE(logits, target) + loss_mc(features, target) (ops/mc_loss.h). parts: ce, dis (L_dis), div
// (L_div). The attention mask comes from (seed, step); of scope batch it is the same for every
// micro-batch. labelSmoothing and class weights act on CE alone.
#include "ops/mc_loss.h"

#include <ATen/TensorOperators.h>

#include "losses/cross_entropy.h"
#include "ops/channel_groups.h"
#include "ops/cwa_mask.h"

namespace mcloss {
namespace {

class Mc : public Loss {
 public:
  Mc(LossOptions& options, const LossContext& context)
      : cross_entropy_(options),
        keep_(options.get<Keep>("keep")),
        mask_scope_(options.get<MaskScope>("maskScope")),
        num_classes_(context.model.num_classes) {
    McWeights weights;
    weights.fields(options);
    terms_ = mc_terms(weights);
    Impl impl = Impl::fused;
    options.optional("impl", impl);
    Pool pool = Pool::max;
    options.optional("pool", pool);
    if (pool == Pool::mean && impl == Impl::fused) {
      throw Error(
          "E_CONFIG",
          "loss mc: expected impl 'reference' for pool 'mean' but received 'fused', which has "
          "the maximum alone. Set loss.impl to 'reference'.");
    }
    form_ = impl == Impl::fused ? &mc_loss
            : pool == Pool::max ? &mc_loss_reference
                                : &mc_loss_of_means;
    const ChannelGroups at_least_one_each(context.map_channels, num_classes_);
    if (context.map_positions == 1 && (terms_.div != 0 || terms_.per_xi != 0)) {
      throw Error("E_ARGUMENT",
                  "loss mc: the feature map of " + context.model.backbone +
                      " has one position (1x1), where the diversity of the MC-Loss is constant. "
                      "Use a larger crop, or a diversity weight of 0.");
    }
  }

  LossOutput forward(const LossInput& input) override {
    const ChannelGroups groups(input.features.size(1), num_classes_);
    const at::Tensor mask = cwa_mask(groups, keep_, mask_scope_, input.seed_step,
                                     input.features.size(0), input.first_sample);
    const McLoss mc = form_(input.features, input.target, num_classes_, mask, terms_);
    const at::Tensor ce = cross_entropy_(input);
    return {ce + mc.loss, {{"ce", ce}, {"dis", mc.dis}, {"div", mc.div}}};
  }

 private:
  const CrossEntropy cross_entropy_;
  const Keep keep_;
  const MaskScope mask_scope_;
  const int64_t num_classes_;
  McTerms terms_;
  decltype(&mc_loss) form_;
};

}  // namespace

std::shared_ptr<Loss> make_mc(LossOptions& options, const LossContext& context) {
  return std::make_shared<Mc>(options, context);
}

}  // namespace mcloss
