// The loops of the MC-Loss for every x86-64 processor.
#define MCLOSS_VECTOR_BYTES 16
#include "ops/mc_loss_kernel_loops.h"

namespace mcloss {

const McPasses* mc_passes_plain() { return kPasses; }

}  // namespace mcloss
