#include "train/device/upload.h"

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>

namespace mcloss {
namespace {

c10::Stream computing_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

}  // namespace

Uploader::Uploader(at::Device device) : device_(device) {
  if (!device.is_cuda()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

at::Tensor Uploader::host_memory(at::IntArrayRef shape, at::ScalarType dtype) const {
  return at::empty(shape, at::TensorOptions().dtype(dtype).pinned_memory(stream_.has_value()));
}

at::Tensor Uploader::operator()(const at::Tensor& host) const {
  if (host.device() == device_) return host;
  const auto sent = [&](const at::Tensor& from) {
    return from.to(device_, from.scalar_type(), /*non_blocking=*/true);
  };
  if (!stream_) return sent(host);              // a device of tensors without values
  const at::Tensor pinned = host.pin_memory();  // LibTorch keeps it until the copy is done
  at::Tensor there;
  c10::Event arrived(device_.type());
  {
    const c10::StreamGuard guard(*stream_);
    there = sent(pinned);
    arrived.record(*stream_);
  }
  arrived.block(computing_stream(device_));
  will_read(there);
  return there;
}

Uploader::Tables Uploader::together(const Tables& tables) const {
  if (device_.is_cpu()) return tables;
  int64_t words = 0;
  for (const auto& table : tables) words += table ? table->numel() : 0;
  const at::Tensor host = host_memory({words}, at::kInt);
  auto* to = host.mutable_data_ptr<int32_t>();
  for (const auto& table : tables) {
    if (!table) continue;
    std::memcpy(to, table->const_data_ptr(), table->nbytes());
    to += table->numel();
  }
  const at::Tensor all = (*this)(host);
  Tables there;
  int64_t begin = 0;
  for (const auto& table : tables) {
    there.emplace_back();
    if (!table) continue;
    const at::Tensor words_of = all.narrow(0, begin, table->numel());
    there.back() = words_of.view(table->scalar_type()).view(table->sizes());
    begin += table->numel();
  }
  return there;
}

void Uploader::will_read(const at::Tensor& there) const {
  if (stream_) there.record_stream(computing_stream(device_));
}

}  // namespace mcloss
