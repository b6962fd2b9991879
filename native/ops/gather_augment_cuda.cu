// crop_flip_normalize on CUDA: a thread a pixel, the same table as the CPU's. Windows come from the
// CPU and are copied to the device of the pixels.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>

#include "ops/crop_flip_normalize.h"

namespace mcloss {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 65535;

// image: [count, height, width, 3]; window: [count, 3]; out: [count, out_height, out_width, 3].
__global__ void crop_flip_normalize_kernel(const uint8_t* image, const int32_t* window,
                                           const PixelTable table, int64_t count, int64_t height,
                                           int64_t width, int64_t out_height, int64_t out_width,
                                           float* out) {
  // Threads of a warp look up different entries: fast in shared memory, serial in the arguments.
  __shared__ float value[3][256];
  for (int channel = 0; channel < 3; ++channel) {
    value[channel][threadIdx.x] = table.value[channel][threadIdx.x];
  }
  __syncthreads();

  const int64_t pixels = count * out_height * out_width;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < pixels; i += stride) {
    const int64_t sample = i / (out_height * out_width);
    const int32_t* cut = window + sample * 3;
    const int64_t x = i % out_width;
    const int64_t row = cut[0] + i / out_width % out_height;
    const int64_t column = cut[1] + (cut[2] != 0 ? out_width - 1 - x : x);
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    const uint8_t* pixel = image + ((sample * height + row) * width + column) * 3;
    for (int channel = 0; channel < 3; ++channel) {
      out[i * 3 + channel] = value[channel][inside ? pixel[channel] : 0];
    }
  }
}

at::Tensor crop_flip_normalize_cuda(const at::Tensor& pixels, const at::Tensor& windows,
                                    int64_t out_height, int64_t out_width,
                                    at::ArrayRef<double> mean, at::ArrayRef<double> std) {
  check_crop(pixels, windows, out_height, out_width);
  const PixelTable table = make_pixel_table(mean, std);
  const c10::cuda::CUDAGuard guard(pixels.device());
  const at::Tensor images = pixels.contiguous();
  const at::Tensor cuts = windows.contiguous().to(pixels.device());
  const at::Tensor result =
      at::empty({pixels.size(0), 3, out_height, out_width},
                at::TensorOptions().dtype(at::kFloat).device(pixels.device()),
                at::MemoryFormat::ChannelsLast);

  const int64_t blocks = (result.numel() / 3 + kThreads - 1) / kThreads;
  crop_flip_normalize_kernel<<<static_cast<unsigned>(std::min(blocks, kMaxBlocks)), kThreads, 0,
                               c10::cuda::getCurrentCUDAStream()>>>(
      images.const_data_ptr<uint8_t>(), cuts.const_data_ptr<int32_t>(), table, pixels.size(0),
      pixels.size(1), pixels.size(2), out_height, out_width, result.data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result;
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) { m.impl("crop_flip_normalize", &crop_flip_normalize_cuda); }

}  // namespace
}  // namespace mcloss
