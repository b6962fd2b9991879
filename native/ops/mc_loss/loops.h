// The inner loops of the fused MC-Loss on the CPU, on plain pointers. The same source
// (mc_loss/loops.cpp) is compiled for three kinds of processor; mc_loss/cpu.cpp picks one.
#pragma once

#include <cstdint>

#include "ops/kernel/group_layout.h"
#include "ops/kernel/padding.h"
#include "ops/kernel/storage.h"

namespace mcloss {

// A map [N, C, H, W] in memory; strides in elements.
struct McMap {
  void* data;
  int64_t sample, channel, row, column;
};

// What both passes work on; McForward (ops/mc_loss/checks.h) says what the arrays hold. T is
// double for Storage::f64, else float.
struct McArrays {
  GroupLayout groups;
  int64_t num_samples, height, width;
  Storage storage;
  bool wide_winners;  // int32, not uint8
  McMap features;     // read only
  void* winners;
  void* channel_stats;
};

struct McForwardArrays : McArrays {
  const bool* mask;     // or null: every channel kept
  int64_t mask_stride;  // from a sample's row to the next; 0: one row for all
  void* class_scores;   // T [N, K]
  void* diversity;      // T [N, K]
};

struct McBackwardArrays : McArrays {
  McMap grad;                  // written
  const void* grad_scores;     // T [N, K], d loss / d g
  const void* grad_diversity;  // T [N, K], d loss / d h
};

// Each works on classes first..last-1 of one sample. scratch: mc_scratch_bytes, not shared by threads.
struct McPasses {
  void (*forward)(const McForwardArrays&, int64_t sample, int64_t first, int64_t last,
                  void* scratch);
  void (*backward)(const McBackwardArrays&, int64_t sample, int64_t first, int64_t last,
                   void* scratch);
};
// By Storage, for each kind of processor.
const McPasses* mc_passes_plain();
const McPasses* mc_passes_avx2();
const McPasses* mc_passes_avx512();

// This many channels are worked on at once, so that they stay in the cache: whole cache lines of
// them (channels_last), within half of a small second-level cache. A class of more channels is read twice by
// the forward pass.
constexpr int64_t kMcBlockChannels = 64;
static inline int64_t mc_block_channels(int64_t positions, int64_t element_size) {
  const int64_t fitting = 256 * 1024 / (whole_vectors(positions) * element_size);
  return fitting < 16 ? 16 : fitting > kMcBlockChannels ? kMcBlockChannels : fitting / 16 * 16;
}

// Rows in scratch are a whole number of the widest vectors.
static inline int64_t mc_scratch_bytes(int64_t positions, int64_t element_size) {
  return whole_vectors(positions) * element_size *
         (5 + 2 * mc_block_channels(positions, element_size));
}

}  // namespace mcloss
