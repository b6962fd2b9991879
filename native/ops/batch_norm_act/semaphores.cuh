// The counters by which a block of the sums learns that it is the last of its tile.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <mutex>
#include <utility>

namespace mcloss {
namespace {

// int32 [count] of zeros on x's device, as each launch finds and leaves it: one tensor per device and
// stream, since the launches of one stream follow each other. So a call allocates and clears nothing, and
// a recorded graph that is replayed on the stream which recorded it finds zeros as well.
inline at::Tensor semaphores(const at::Tensor& x, int64_t count) {
  static std::mutex mutex;
  // Never freed: graphs hold the addresses, and the device may be gone when the process ends.
  static auto* const kept = new std::map<std::pair<int64_t, int64_t>, at::Tensor>;
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const std::lock_guard<std::mutex> lock(mutex);
  const std::pair<int64_t, int64_t> key{stream.device_index(), stream.id()};
  const auto found = kept->find(key);
  if (found != kept->end()) return found->second;
  const at::Tensor zeros =
      at::zeros({count}, x.options().dtype(at::kInt).memory_format(at::MemoryFormat::Contiguous));
  // During a recording nothing is cleared yet: the graph clears its own.
  const bool recording =
      c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
  if (!recording) kept->emplace(key, zeros);
  return zeros;
}

}  // namespace
}  // namespace mcloss
