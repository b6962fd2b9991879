// Autocast for one scope of the calling thread (LibTorch keeps it per thread).
#pragma once

#include <ATen/autocast_mode.h>

#include "types.h"

namespace mcloss {

class Autocast {
 public:
  Autocast(at::DeviceType device, Precision precision)
      : device_(device), on_(precision == Precision::bf16) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
  ~Autocast() {
    if (!on_) return;
    at::autocast::clear_cache();  // the bf16 copies of the weights, stale after the next update
    at::autocast::set_autocast_enabled(device_, false);
  }

 private:
  at::DeviceType device_;
  bool on_;
};

}  // namespace mcloss
