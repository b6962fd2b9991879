// cwa_mask on CUDA, the same bits as on the CPU: a block a (row, class). A channel is kept where
// fewer than `kept` channels of its class have a smaller (word, channel).
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "ops/channel_groups.h"
#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace mcloss {
namespace {

constexpr int kMaskThreads = 64;

__global__ void draw_cwa_mask_kernel(GroupLayout groups, int64_t kept_small, int64_t kept_large,
                                     const int64_t* seed_step, int64_t first_sample, bool* mask) {
  const auto seed = static_cast<uint64_t>(seed_step[0]);
  const auto step = static_cast<uint32_t>(seed_step[1]);
  const int64_t row = blockIdx.x / groups.num_classes, cls = blockIdx.x % groups.num_classes;
  const int64_t begin = groups.begin(cls), size = groups.size(cls);
  const int64_t kept = cls < groups.num_small ? kept_small : kept_large;
  const auto word_of = [&](int64_t channel) {
    return philox_draw(seed, step, static_cast<uint32_t>(first_sample + row),
                       static_cast<uint32_t>(begin + channel), Purpose::cwa_mask);
  };
  __shared__ uint32_t words[kMaskThreads];
  for (int64_t base = 0; base < size; base += kMaskThreads) {
    const int64_t own = base + threadIdx.x;
    const uint32_t own_word = own < size ? word_of(own) : 0;
    int64_t smaller = 0;
    for (int64_t tile = 0; tile < size; tile += kMaskThreads) {
      __syncthreads();  // the last tile has been read
      if (tile + threadIdx.x < size) words[threadIdx.x] = word_of(tile + threadIdx.x);
      __syncthreads();
      for (int64_t other = tile; other < size && other < tile + kMaskThreads; ++other) {
        const uint32_t word = words[other - tile];
        smaller += word < own_word || (word == own_word && other < own);
      }
    }
    if (own < size) mask[row * groups.num_channels + begin + own] = smaller < kept;
  }
}

void draw_cwa_mask_cuda(at::Tensor& mask, int64_t num_classes, int64_t kept_small,
                        int64_t kept_large, const at::Tensor& seed_step, int64_t first_sample) {
  const int64_t* at = seed_step_data(seed_step, mask.device());
  const ChannelGroups groups(mask.size(1), num_classes);
  const int64_t blocks = mask.size(0) * num_classes;
  if (blocks == 0) return;
  const c10::cuda::CUDAGuard guard(mask.device());
  draw_cwa_mask_kernel<<<static_cast<unsigned>(blocks), kMaskThreads, 0,
                         c10::cuda::getCurrentCUDAStream()>>>(groups, kept_small, kept_large, at,
                                                              first_sample, mask.data_ptr<bool>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) { m.impl("draw_cwa_mask_", &draw_cwa_mask_cuda); }

}  // namespace
}  // namespace mcloss
