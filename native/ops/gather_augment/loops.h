// The inner loops of gather_augment on the CPU, on plain pointers. The same source
// (gather_augment/loops.cpp) is compiled for three kinds of processor; gather_augment/cpu.cpp
// picks one.
#pragma once

#include <cstdint>

namespace mcloss {

// What gather_augment.h says of the arguments, as plain memory.
struct GatherArrays {
  const uint8_t* pixels;              // lines of [width, 3]
  int64_t image_stride, line_stride;  // bytes
  int64_t height, width;              // of an image
  const int32_t* rows;                // [N], or null: sample n is image n
  const int32_t* windows;             // [N, 3]
  const float* jitter;                // [N, 3], or null
  const int32_t* erased;              // [N, 4], or null
  int64_t out_height, out_width;
  float offset[3], scale[3];
  void* out;  // [N, out_height, out_width, 3]
};

// Fills lines first..last-1 of the N * out_height output lines. scratch: gather_scratch_bytes, not
// shared by threads.
using GatherLines = void (*)(const GatherArrays&, int64_t first, int64_t last, uint8_t* scratch);

// By the output's dtype: float32, bfloat16, float16; for each kind of processor.
const GatherLines* gather_lines_plain();
const GatherLines* gather_lines_avx2();
const GatherLines* gather_lines_avx512();

// A line made in scratch has this much room on both sides: vectors may reach over its ends.
constexpr int64_t kGatherMargin = 64;
static inline int64_t gather_scratch_bytes(int64_t out_width) {
  return out_width * 3 + 2 * kGatherMargin;
}

}  // namespace mcloss
