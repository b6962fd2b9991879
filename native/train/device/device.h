// The device of a trainer by its name, refused where it is not there.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstdint>
#include <string>

namespace mcloss {

// The CUDA GPUs that LibTorch sees.
int cuda_device_count();

// Bytes the first GPU has free. Throws as require_device.
int64_t cuda_free_memory();

// The most bytes that LibTorch's allocator had given out at once on the first GPU. Throws as
// require_device.
int64_t cuda_peak_memory();
// Of any allocator; 0 before its first tensor.
int64_t peak_memory(at::DeviceAllocator& allocator, at::DeviceIndex device);

// "cpu" or "cuda" (the first GPU). Throws E_CONFIG for another name, E_DEVICE where LibTorch sees no
// GPU, or mcloss has no CUDA operators or none that this GPU can run.
at::Device require_device(const std::string& name);

// On a GPU, gives the calling thread a stream of its own to launch on: the default one cannot be
// recorded. On the CPU nothing.
void use_own_stream(at::Device device);

}  // namespace mcloss
