// What a translated .cu file (scripts/dev/cuda-to-cpp.mjs) includes in place of CUDA's headers.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "emulation/block.h"
#include "emulation/memory.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace emulation {

// kernel: its name, for messages. call(arguments...) runs one thread of it.
template <typename Call, typename... Arguments>
void launch(const char* kernel, const Config& config, const Call& call,
            const Arguments&... arguments) {
  run_grid(kernel, config, [&] { call(arguments...); });
}

template <typename T>
T& shared_variable(const void* declaration) {
  return *static_cast<T*>(static_shared(declaration, sizeof(T), alignof(T)));
}

// The value that the lane gets which `choose` names, from its own lane's number.
template <typename T, typename Choose>
T shuffle(unsigned mask, T value, int width, const char* file, int line, const Choose& choose) {
  static_assert(sizeof(T) <= 16);
  if (width != kWarpSize) fail("a shuffle of a part of a warp");
  T result;
  warp_operation(mask, &value, sizeof(T), file, line, [&](unsigned lane, Lanes values) {
    const unsigned from = choose(lane);
    std::memcpy(&result, values[from < kWarpSize ? from : lane], sizeof(T));
  });
  return result;
}

// change(before) -> what is there afterwards. Returns what was there.
template <typename T, typename Change>
__attribute__((no_sanitize("thread"))) T atomic(T* to, const Change& change) {
  touch(to, sizeof(T), Access::atomic);
  const T before = *to;
  *to = change(before);
  return before;
}

}  // namespace emulation

// Where the caller stands, as default arguments.
#define EMULATION_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(EMULATION_HERE) { emulation::block_barrier(file, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATION_HERE) {
  emulation::warp_barrier(mask, file, line);
}
inline void __threadfence() { emulation::fence(); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, EMULATION_HERE) {
  return emulation::shuffle(mask, value, width, file, line,
                            [by](unsigned lane) { return lane ^ static_cast<unsigned>(by); });
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, EMULATION_HERE) {
  return emulation::shuffle(mask, value, width, file, line,
                            [by](unsigned lane) { return lane + by; });
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, EMULATION_HERE) {
  return emulation::shuffle(mask, value, width, file, line,
                            [from](unsigned) { return static_cast<unsigned>(from) % 32; });
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATION_HERE) {
  const unsigned char mine = predicate != 0;
  unsigned bits = 0;
  emulation::warp_operation(mask, &mine, 1, file, line, [&](unsigned, emulation::Lanes values) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1) bits |= unsigned{values[lane][0]} << lane;
    }
  });
  return bits;
}

template <typename T>
T atomicAdd(T* to, T value) {
  return emulation::atomic(to, [=](T before) { return before + value; });
}
inline unsigned atomicInc(unsigned* to, unsigned last) {
  return emulation::atomic(to, [=](unsigned before) { return before >= last ? 0 : before + 1; });
}
template <typename T>
T atomicExch(T* to, T value) {
  return emulation::atomic(to, [=](T) { return value; });
}

// Each rounded by itself: translated files are compiled with -ffp-contract=off.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }

using __nv_bfloat16 = c10::BFloat16;
using __half = c10::Half;
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
inline __half __float2half_rn(float value) { return value; }

// CUDA's overloads for float and double have no std::.
using std::exp, std::fma, std::log, std::max, std::min;

// The device is the CPU, and a launch has ended when it returns.
namespace c10::cuda {
struct CUDAGuard {
  explicit CUDAGuard(c10::Device) {}
};
struct CUDAStream {
  operator cudaStream_t() const { return nullptr; }
  c10::DeviceIndex device_index() const { return 0; }
  c10::StreamId id() const { return 0; }
};
inline CUDAStream getCurrentCUDAStream() { return {}; }
enum class CaptureStatus { None };
inline CaptureStatus currentStreamCaptureStatusMayInitCtx() { return CaptureStatus::None; }
}  // namespace c10::cuda
#define C10_CUDA_KERNEL_LAUNCH_CHECK() static_cast<void>(0)
