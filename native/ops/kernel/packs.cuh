// Values that follow one another, read and written as one: 16 bytes at a time where they are aligned.
#pragma once

#include <cstdint>

#include "ops/kernel/host_device.h"

namespace mcloss {
namespace {

template <typename S, int kCount>
struct alignas(sizeof(S) * kCount) Pack {
  S value[kCount];
};
template <typename S>
constexpr int kWide = 16 / sizeof(S);

MCLOSS_HOST_DEVICE inline bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

}  // namespace
}  // namespace mcloss
