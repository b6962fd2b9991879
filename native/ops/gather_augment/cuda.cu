// gather_augment on CUDA: a thread a pixel, the same bits as gather_augment/loops.cpp gives.
// Contrast needs the mean grey of a window first: a kernel of its own adds them up in integers, so
// that their order cannot matter.
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

#include "ops/gather_augment/checks.h"
#include "ops/kernel/reductions.cuh"

namespace mcloss {
namespace {

constexpr int kGatherThreads = 256;
constexpr int64_t kMaxBlocks = 1024, kMaxSamples = 65535;  // of a grid, in x and y

using Sum = unsigned long long;  // what atomicAdd takes

struct Arguments : GatherArrays {
  const Sum* greys;  // [N], or null: the sum of the window's greys
  int64_t count;     // N
  int64_t images;    // M
};

struct Pixel {
  int level[3];  // 0..255
};

// Every operation is rounded by itself, as on the CPU.
__device__ int blend(int from, int to, float factor) {
  const float value =
      __fadd_rn(static_cast<float>(from), __fmul_rn(static_cast<float>(to - from), factor));
  return min(max(static_cast<int>(value), 0), 255);
}

__device__ Pixel blend(Pixel from, Pixel to, float factor) {
  return {blend(from.level[0], to.level[0], factor), blend(from.level[1], to.level[1], factor),
          blend(from.level[2], to.level[2], factor)};
}

// PIL's grey.
__device__ int grey_of(Pixel pixel) {
  return (pixel.level[0] * 19595 + pixel.level[1] * 38470 + pixel.level[2] * 7471 + 32768) >> 16;
}

// Whether the sample's image is in the store: rows that were on the GPU have not been looked at.
__device__ bool is_stored(const Arguments& a, int64_t n) {
  return !a.rows || (a.rows[n] >= 0 && a.rows[n] < a.images);
}

// Pixel i of the sample's window, in the order of the output.
__device__ Pixel cut(const Arguments& a, int64_t n, int64_t i) {
  const int32_t* window = a.windows + n * 3;
  const int64_t x = i % a.out_width, row = window[0] + i / a.out_width;
  const int64_t column = window[1] + (window[2] != 0 ? a.out_width - 1 - x : x);
  if (row < 0 || row >= a.height || column < 0 || column >= a.width) return {0, 0, 0};
  const int64_t image = a.rows ? a.rows[n] : n;
  const uint8_t* pixel = a.pixels + image * a.image_stride + row * a.line_stride + column * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

// greys [N]: the sum of each window's greys after brightness, where contrast asks for it.
__global__ void __launch_bounds__(kGatherThreads) sum_greys_kernel(const Arguments a, Sum* greys) {
  const int64_t pixels = a.out_height * a.out_width, stride = int64_t{gridDim.x} * kGatherThreads;
  for (int64_t n = blockIdx.y; n < a.count; n += gridDim.y) {
    const float brightness = a.jitter[n * 3];
    if (a.jitter[n * 3 + 1] == 1 || !is_stored(a, n)) continue;
    Sum sum = 0;
    for (int64_t i = int64_t{blockIdx.x} * kGatherThreads + threadIdx.x; i < pixels; i += stride) {
      sum += grey_of(blend({0, 0, 0}, cut(a, n, i), brightness));
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) atomicAdd(greys + n, sum);
  }
}

// Whether pixel i of the output is erased.
__device__ bool is_erased(const Arguments& a, int64_t n, int64_t i) {
  if (!a.erased) return false;
  const int32_t* rectangle = a.erased + n * 4;
  const int64_t y = i / a.out_width - rectangle[0], x = i % a.out_width - rectangle[1];
  return y >= 0 && y < rectangle[2] && x >= 0 && x < rectangle[3];
}

__device__ void store(float* to, float value) { *to = value; }
__device__ void store(__nv_bfloat16* to, float value) { *to = __float2bfloat16_rn(value); }
__device__ void store(__half* to, float value) { *to = __float2half_rn(value); }

// out: [N, out_height, out_width, 3].
template <typename S>
__global__ void __launch_bounds__(kGatherThreads) gather_augment_kernel(const Arguments a, S* out) {
  const int64_t pixels = a.out_height * a.out_width, stride = int64_t{gridDim.x} * kGatherThreads;
  for (int64_t n = blockIdx.y; n < a.count; n += gridDim.y) {
    const bool stored = is_stored(a, n);
    float brightness = 1, contrast = 1, saturation = 1;
    int mean = 0;
    if (a.jitter) {
      brightness = a.jitter[n * 3];
      contrast = a.jitter[n * 3 + 1];
      saturation = a.jitter[n * 3 + 2];
      if (contrast != 1) mean = static_cast<int>((2 * a.greys[n] + pixels) / (2 * pixels));
    }
    for (int64_t i = int64_t{blockIdx.x} * kGatherThreads + threadIdx.x; i < pixels; i += stride) {
      Pixel pixel = stored ? cut(a, n, i) : Pixel{};
      if (brightness != 1) pixel = blend({0, 0, 0}, pixel, brightness);
      if (contrast != 1) pixel = blend({mean, mean, mean}, pixel, contrast);
      if (saturation != 1) {
        const int grey = grey_of(pixel);
        pixel = blend({grey, grey, grey}, pixel, saturation);
      }
      const bool erased = is_erased(a, n, i);
      for (int channel = 0; channel < 3; ++channel) {
        const float level = static_cast<float>(pixel.level[channel]);
        const float value = __fmul_rn(__fsub_rn(level, a.offset[channel]), a.scale[channel]);
        store(out + (n * pixels + i) * 3 + channel, !stored ? NAN : erased ? 0.f : value);
      }
    }
  }
}

at::Tensor gather_cuda(const GatherArguments& given) {
  check_gather(given);  // also that the pixels are on a GPU, since one of the others is
  const c10::cuda::CUDAGuard guard(given.pixels.device());
  const GatherTensors tensors = prepare_gather(given);
  const int64_t count = given.windows.size(0), area = given.out_height * given.out_width;
  const dim3 grid(
      static_cast<unsigned>(std::min(at::ceil_div<int64_t>(area, kGatherThreads), kMaxBlocks)),
      static_cast<unsigned>(std::min(count, kMaxSamples)));
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  Arguments arguments{arrays_of(tensors, given), nullptr, count, given.pixels.size(0)};
  at::Tensor greys;
  if (given.jitter) {
    greys = at::zeros({count}, given.pixels.options().dtype(at::kLong));
    Sum* const sums = reinterpret_cast<Sum*>(greys.data_ptr<int64_t>());
    sum_greys_kernel<<<grid, kGatherThreads, 0, stream>>>(arguments, sums);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    arguments.greys = sums;
  }
  const auto launch = [&](auto* typed) {
    gather_augment_kernel<<<grid, kGatherThreads, 0, stream>>>(arguments, typed);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  };
  if (given.dtype == at::kFloat) {
    launch(static_cast<float*>(arguments.out));
  } else if (given.dtype == at::kBFloat16) {
    launch(static_cast<__nv_bfloat16*>(arguments.out));
  } else {
    launch(static_cast<__half*>(arguments.out));
  }
  return tensors.result;
}

at::Tensor gather_augment_cuda(const at::Tensor& pixels, const MaybeTensor& rows,
                               const at::Tensor& windows, const MaybeTensor& jitter,
                               int64_t out_height, int64_t out_width, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype,
                               const MaybeTensor& erased) {
  return gather_cuda(
      {pixels, rows, windows, jitter, out_height, out_width, mean, std, dtype, erased});
}

void gather_augment_into_cuda(at::Tensor& out, const at::Tensor& pixels, const MaybeTensor& rows,
                              const at::Tensor& windows, const MaybeTensor& jitter,
                              at::ArrayRef<double> mean, at::ArrayRef<double> std,
                              const MaybeTensor& erased) {
  gather_cuda({pixels, rows, windows, jitter, out.size(2), out.size(3), mean, std,
               out.scalar_type(), erased, &out});
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) {
  m.impl("gather_augment", &gather_augment_cuda);
  m.impl("gather_augment_into_", &gather_augment_into_cuda);
}

}  // namespace
}  // namespace mcloss
