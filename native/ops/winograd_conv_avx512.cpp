// The loops of the 3x3 convolution for processors with AVX-512.
#define MCLOSS_VECTOR_BYTES 64
#include "ops/winograd_conv_kernel_loops.h"

namespace mcloss {

template <typename T>
const WinogradKernels<T>& winograd_kernels_avx512() {
  return kWinogradKernels<T>;
}
template const WinogradKernels<float>& winograd_kernels_avx512();
template const WinogradKernels<double>& winograd_kernels_avx512();

}  // namespace mcloss
