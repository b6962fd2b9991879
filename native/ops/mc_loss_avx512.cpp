// The loops of the MC-Loss for processors with AVX-512.
#define MCLOSS_VECTOR_BYTES 64
#include "ops/mc_loss_kernel_loops.h"

namespace mcloss {

const McPasses* mc_passes_avx512() { return kPasses; }

}  // namespace mcloss
