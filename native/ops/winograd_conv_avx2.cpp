// The loops of the 3x3 convolution for processors with AVX2.
#define MCLOSS_VECTOR_BYTES 32
#include "ops/winograd_conv_kernel_loops.h"

namespace mcloss {

const WinogradLoops& winograd_loops_avx2() { return kWinogradLoops; }

}  // namespace mcloss
