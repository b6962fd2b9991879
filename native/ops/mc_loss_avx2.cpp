// The loops of the MC-Loss for processors with AVX2 and FMA.
#define MCLOSS_VECTOR_BYTES 32
#include "ops/mc_loss_kernel_loops.h"

namespace mcloss {

const McPasses* mc_passes_avx2() { return kPasses; }

}  // namespace mcloss
