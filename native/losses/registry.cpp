#include "named_rows.h"

#include "losses/loss.h"

namespace mcloss {

// The file of row (name, loss) defines make_loss.
// clang-format off
#define LOSSES(row)                    \
  row("a-softmax",     a_softmax)     \
  row("arcface",       arcface)       \
  row("center",        center)        \
  row("coco",          coco)          \
  row("cosine-loss",   cosine_loss)   \
  row("cross-entropy", cross_entropy) \
  row("focal",         focal)         \
  row("lgm",           lgm)           \
  row("lmcl",          lmcl)          \
  row("max-entropy",   max_entropy)   \
  row("mc",            mc)

#define DECLARE(name, loss) MakeLoss make_##loss;
LOSSES(DECLARE)

namespace {

struct LossRow {
  const char* name;
  MakeLoss* make;
};

#define ROW(name, loss) {name, make_##loss},
constexpr LossRow losses[] = {LOSSES(ROW)};
// clang-format on

}  // namespace

std::shared_ptr<Loss> make_loss(const LossConfig& config, const LossContext& context) {
  const LossRow& row = row_named(losses, config.name, "loss: expected name");
  LossOptions options(config);
  std::shared_ptr<Loss> loss = row.make(options, context);
  options.refuse_unread();
  return loss;
}

}  // namespace mcloss
