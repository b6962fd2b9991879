#include "emulation/planted.h"

#include <c10/cuda/CUDAStream.h>

namespace test {
namespace {

__global__ void planted_kernel(Plant plant, const float* from, float* partial, unsigned* done,
                               float* to) {
  extern __shared__ __align__(16) unsigned char shared[];
  float* const staged = reinterpret_cast<float*>(shared);
  __shared__ float sums[kPlantedThreads / 32];
  __shared__ bool last;
  const int thread = threadIdx.x, begin = blockIdx.x * kPlantedThreads;
  int shift = 0;
  if (plant == Plant::before_tensor) shift = -kPlantedThreads;
  if (plant == Plant::beyond_tensor) shift = kPlantedThreads;
  const bool skips = plant == Plant::uninitialised_dynamic && thread == 5;
  if (!skips) staged[thread] = from[begin + thread + shift];
  if (plant == Plant::early_end && thread == 7) return;
  if (plant == Plant::divergent_barrier && thread == 7) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  const int beyond = plant == Plant::beyond_dynamic ? kPlantedThreads : 0;
  float value = staged[kPlantedThreads - 1 - thread + beyond];
  if (plant != Plant::divergent_shuffle || thread != 3) {
    for (int distance = 16; distance > 0; distance /= 2) {
      value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
  }
  const int warp = thread / 32;
  const bool writes = thread % 32 == 0 && (plant != Plant::uninitialised_static || warp == 0);
  if (writes) sums[warp + (plant == Plant::beyond_static ? 2 : 0)] = value;
  if (plant != Plant::race) __syncthreads();
  if (thread == 0) {
    partial[blockIdx.x] = sums[0] + sums[1];
    if (plant != Plant::no_fence) __threadfence();
    const unsigned before = atomicInc(done, gridDim.x - 1);
    last = before == gridDim.x - (plant == Plant::early_last ? 2 : 1);
  }
  __syncthreads();
  if (!last || thread != 0) return;
  float total = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) total += partial[block];
  to[plant == Plant::write_beyond_tensor ? 1 : 0] = total;
}

}  // namespace

void launch_planted(Plant plant, const float* from, float* partial, unsigned* done, float* to) {
  planted_kernel<<<kPlantedBlocks, kPlantedThreads, kPlantedThreads * sizeof(float),
                   c10::cuda::getCurrentCUDAStream()>>>(plant, from, partial, done, to);
}

}  // namespace test
