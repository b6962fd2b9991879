#include "train/device/upload.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace mcloss {

Uploader::Uploader(at::Device device) : device_(device) {
  if (!device.is_cuda()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

at::Tensor Uploader::operator()(const at::Tensor& host) const {
  if (host.device() == device_) return host;
  const c10::Stream computing = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  const at::Tensor pinned = host.pin_memory();  // LibTorch keeps it until the copy is done
  at::Tensor there;
  c10::Event arrived(device_.type());
  {
    const c10::StreamGuard guard(*stream_);
    there = pinned.to(device_, pinned.scalar_type(), /*non_blocking=*/true);
    arrived.record(*stream_);
  }
  arrived.block(computing);
  there.record_stream(computing);  // its memory serves other copies only when the step has read it
  return there;
}

}  // namespace mcloss
