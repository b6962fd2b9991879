// Batches on their way to the device. To a GPU they go through pinned memory on a stream of their own,
// so that they travel while the step before is still running and the host waits for neither.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <optional>

namespace mcloss {

class Uploader {
 public:
  explicit Uploader(at::Device device);
  at::Device device() const { return device_; }

  // The values of a host tensor on the device; on the CPU, and for what is there already, the tensor
  // itself. From a GPU's upload on, the host's memory is free for other things.
  at::Tensor operator()(const at::Tensor& host) const;

 private:
  at::Device device_;
  std::optional<c10::Stream> stream_;
};

}  // namespace mcloss
