// The loops of batch norm + residual + ReLU for processors with AVX2 and FMA.
#define MCLOSS_VECTOR_BYTES 32
#include "ops/batch_norm_act_kernel_loops.h"

namespace mcloss {

const BnPasses* bn_passes_avx2() { return kBnPasses; }

}  // namespace mcloss
