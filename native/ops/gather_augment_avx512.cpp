// The loops of gather_augment for processors with AVX-512.
#define MCLOSS_VECTOR_BYTES 64
#include "ops/gather_augment_kernel_loops.h"

namespace mcloss {

const GatherLines* gather_lines_avx512() { return kGatherLines; }

}  // namespace mcloss
