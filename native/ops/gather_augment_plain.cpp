// The loops of gather_augment for every x86-64 processor.
#define MCLOSS_VECTOR_BYTES 16
#include "ops/gather_augment_kernel_loops.h"

namespace mcloss {

const GatherLines* gather_lines_plain() { return kGatherLines; }

}  // namespace mcloss
