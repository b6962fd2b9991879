// What LibTorch is asked for on this thread while a Transfers lives: copies from device to device, of
// them those that the host would wait for, values that the host reads, and memory that a stream reads.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <cstring>

namespace test {

struct SeenTransfers {
  int across = 0, blocking = 0;  // copies from device to device
  int on_host = 0;               // copies of more than one value from host to host
  int reads = 0;                 // of a value by the host
  int kept = 0;                  // tensors whose memory waits for a stream that reads it
  int image_casts = 0;           // of [N, 3, H, W] to another type; filters are smaller than 32
};

class Transfers {
 public:
  Transfers()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&Transfers::begin)
                                               .needsInputs(true)
                                               .scopes({at::RecordScope::FUNCTION}))) {
    seen = {};
  }
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;
  ~Transfers() { at::removeCallback(handle_); }

  static inline thread_local SeenTransfers seen;

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    const char* const name = function.name();
    if (std::strcmp(name, "aten::_local_scalar_dense") == 0) ++seen.reads;
    if (std::strcmp(name, "aten::record_stream") == 0) ++seen.kept;
    if (std::strcmp(name, "aten::copy_") != 0) return nullptr;
    const auto inputs = function.inputs();
    const at::Tensor to = inputs[0].toTensor(), from = inputs[1].toTensor();
    if (to.device() == from.device()) {
      if (to.is_cpu() && to.numel() > 1) ++seen.on_host;
      if (to.dim() == 4 && to.size(1) == 3 && to.size(2) >= 32 &&
          to.scalar_type() != from.scalar_type()) {
        ++seen.image_casts;
      }
      return nullptr;
    }
    ++seen.across;
    if (!inputs[2].toBool()) ++seen.blocking;
    return nullptr;
  }

  at::CallbackHandle handle_;
};

}  // namespace test
