// The loops of batch norm + residual + ReLU for processors with AVX-512.
#define MCLOSS_VECTOR_BYTES 64
#include "ops/batch_norm_act_kernel_loops.h"

namespace mcloss {

const BnPasses* bn_passes_avx512() { return kBnPasses; }

}  // namespace mcloss
