// The loops of batch norm + residual + ReLU for every x86-64 processor.
#define MCLOSS_VECTOR_BYTES 16
#include "ops/batch_norm_act_kernel_loops.h"

namespace mcloss {

const BnPasses* bn_passes_plain() { return kBnPasses; }

}  // namespace mcloss
