// Batches on their way to the device. To a GPU they go through pinned memory on a stream of their own,
// so that they travel while the step before is still running and the host waits for neither.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <optional>
#include <vector>

namespace mcloss {

class Uploader {
 public:
  explicit Uploader(at::Device device);
  at::Device device() const { return device_; }

  // Memory on the host for what is to be uploaded, pinned for a GPU: from there no further copy on
  // the host is needed.
  at::Tensor host_memory(at::IntArrayRef shape, at::ScalarType dtype) const;

  // The values of a host tensor on the device; on the CPU, and for what is there already, the tensor
  // itself. From a GPU's upload on, the host's memory is free for other things.
  at::Tensor operator()(const at::Tensor& host) const;

  // Contiguous host tensors of 4-byte elements, as one copy; what is left out stays so. On the CPU they
  // are returned as they are.
  using Tables = std::vector<std::optional<at::Tensor>>;
  Tables together(const Tables& tables) const;

  // The calling thread's stream is about to read a tensor of the device that was made on another stream:
  // its memory serves others only when this stream has read it. On the CPU nothing.
  void will_read(const at::Tensor& there) const;

 private:
  at::Device device_;
  std::optional<c10::Stream> stream_;  // of a GPU
};

}  // namespace mcloss
