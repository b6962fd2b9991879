// The loops of the 3x3 convolution for processors with AVX-512.
#define MCLOSS_VECTOR_BYTES 64
#include "ops/winograd_conv_kernel_loops.h"

namespace mcloss {

const WinogradLoops& winograd_loops_avx512() { return kWinogradLoops; }

}  // namespace mcloss
