#include <c10/cuda/CUDAException.h>

#include "train/device/gpu_code.h"

namespace mcloss {

Gpu first_gpu() {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  return {properties.name, 10 * properties.major + properties.minor};
}

// nvcc tells the host's code which architectures it compiles for, 100 * major + 10 * minor each.
std::vector<int> compiled_architectures() {
  std::vector<int> architectures;
  for (const int architecture : {__CUDA_ARCH_LIST__}) architectures.push_back(architecture / 10);
  return architectures;
}

}  // namespace mcloss
