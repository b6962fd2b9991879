// The loops of the 3x3 convolution for every x86-64 processor.
#define MCLOSS_VECTOR_BYTES 16
#include "ops/winograd_conv_kernel_loops.h"

namespace mcloss {

template <typename T>
const WinogradKernels<T>& winograd_kernels_plain() {
  return kWinogradKernels<T>;
}
template const WinogradKernels<float>& winograd_kernels_plain();
template const WinogradKernels<double>& winograd_kernels_plain();

}  // namespace mcloss
