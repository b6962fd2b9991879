// The GPUs that this add-on has machine code for.
#pragma once

#include <string>
#include <vector>

namespace mcloss {

// A GPU's compute capability or an architecture that nvcc compiles for, as 10 * major + minor.
struct Gpu {
  std::string name;
  int capability = 0;
};

// The first GPU. gpu_code_cuda.cu, or gpu_code_none.cpp in a build without CUDA, which has neither.
Gpu first_gpu();
std::vector<int> compiled_architectures();

// Why a GPU cannot run code for `compiled`, each with its machine-independent form, which the driver
// translates for every newer GPU; empty if it can.
std::string refusal_of(const Gpu& gpu, const std::vector<int>& compiled);

}  // namespace mcloss
