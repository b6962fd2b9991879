// The loops of the 3x3 convolution for every x86-64 processor.
#define MCLOSS_VECTOR_BYTES 16
#include "ops/winograd_conv_kernel_loops.h"

namespace mcloss {

const WinogradLoops& winograd_loops_plain() { return kWinogradLoops; }

}  // namespace mcloss
