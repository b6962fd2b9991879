// The loops of gather_augment for processors with AVX2.
#define MCLOSS_VECTOR_BYTES 32
#include "ops/gather_augment_kernel_loops.h"

namespace mcloss {

const GatherLines* gather_lines_avx2() { return kGatherLines; }

}  // namespace mcloss
