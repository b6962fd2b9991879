// Which values a thread of batch_norm_act's kernels takes, one pack after the other.
//   by rows (channels_last, [N, C]): a thread keeps a pack of kCount channels and walks over rows; the
//   threads side by side read whole lines of the cache, of 128 bytes.
//   else: a block keeps a channel, and its threads walk over packs of positions, sample after sample.
#pragma once

#include <ATen/ceil_div.h>

#include <algorithm>
#include <cstdint>

#include "ops/batch_norm_act/checks.h"
#include "ops/kernel/packs.cuh"

namespace mcloss {
namespace {

// The most channels that a block works on.
constexpr int kMostTile = 64;

// What a grid of blocks (tile, chunk) is asked for: about `blocks` of them with `threads` each, at most
// `chunks` per tile, and `steps` or more for each thread.
struct Wanted {
  int threads;
  int64_t blocks, chunks;
  int steps;
};

// How the blocks share the values out: a function of the shape alone, so that no result depends on the
// device.
struct Cut {
  Cut(const BnLayout& layout, int per_pack, const Wanted& wanted)
      : by_rows(layout.by_rows), channels(layout.channels), count(layout.count()) {
    width = (by_rows ? channels : layout.positions) / per_pack;
    if (by_rows) {
      const int64_t side_by_side = std::min<int64_t>(width, per_pack == 1 ? 32 : 8);
      while (columns < side_by_side) columns *= 2;
      tile = columns * per_pack;
    }
    rows = wanted.threads / columns;
    tiles = by_rows ? at::ceil_div<int64_t>(width, columns) : channels;
    length = by_rows ? layout.count() : layout.samples * width;
    step = by_rows ? rows * width : rows / width * channels * width + rows % width;
    step_within = static_cast<int>(rows % width);
    const int64_t chunks_wanted = std::clamp<int64_t>(wanted.blocks / tiles, 1, wanted.chunks);
    const int64_t fewest = int64_t{rows} * wanted.steps;
    chunk = at::round_up<int64_t>(std::max(at::ceil_div(length, chunks_wanted), fewest), rows);
    chunks = at::ceil_div(length, chunk);
  }

  bool by_rows;
  int64_t channels, count;  // count: values per channel
  int64_t width;            // packs per row; else per sample and channel
  int columns = 1;          // threads side by side, a power of two
  int rows;                 // threads of a channel in a block
  int tile = 1;  // channels of a block, a power of two; some of the last tile's may not exist
  int64_t tiles;
  int64_t length;         // rows; else packs of a channel
  int64_t step;           // packs from a thread's place to its next one
  int step_within;        // the part of it that is within a sample
  int64_t chunk, chunks;  // of the length, per block; how many

  dim3 grid() const { return {static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)}; }
  __device__ int64_t length_of(int64_t index) const { return min(chunk, length - index * chunk); }
  // By rows: this thread's within the tile; the last one for threads beyond the end.
  __device__ int own_column() const {
    const int64_t existing = width - blockIdx.x * int64_t{columns};
    return static_cast<int>(min(int64_t{threadIdx.x % columns}, existing - 1));
  }
  __device__ int64_t first_channel() const { return blockIdx.x * int64_t{tile}; }
};

template <bool kByRows>
struct Walk {
  __device__ explicit Walk(const Cut& cut) {
    const int64_t begin = blockIdx.y * cut.chunk;
    const int row = threadIdx.x / cut.columns;
    left = static_cast<int>(cut.length_of(blockIdx.y)) - row;
    if constexpr (kByRows) {
      const int column = cut.own_column();
      first = begin * cut.width + blockIdx.x * int64_t{cut.columns} + column;
      place = first + row * cut.width;
      if (column < static_cast<int>(threadIdx.x % cut.columns)) left = 0;
    } else {
      const int64_t sample = cut.channels * cut.width, channel = blockIdx.x * cut.width;
      first = begin / cut.width * sample + channel + begin % cut.width;
      place = (begin + row) / cut.width * sample + channel + (begin + row) % cut.width;
      within = static_cast<int>((begin + row) % cut.width);
    }
  }
  __device__ bool more() const { return left > 0; }
  __device__ void next(const Cut& cut) {
    left -= cut.rows;
    place += cut.step;
    if constexpr (!kByRows) {
      within += cut.step_within;
      if (within < cut.width) return;
      within -= static_cast<int>(cut.width);
      place += (cut.channels - 1) * cut.width;
    }
  }

  int64_t first;   // the pack where the block's chunk begins, in this thread's column
  int64_t place;   // the pack that is next
  int left;        // rows to the end of the chunk
  int within = 0;  // its sample, the place
};

// The walk's next kAtOnce packs of several tensors: read as one batch, so that all loads are under way before
// the first is used. Beyond the end of the chunk there is nothing: the pack at its beginning is read
// again, since a load that depends on a condition might wait for the one before it.
template <int kAtOnce>
struct Batch {
  template <bool kByRows>
  __device__ Batch(const Cut& cut, Walk<kByRows>& walk) {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      here[i] = walk.more();
      places[i] = here[i] ? walk.place : walk.first;
      walk.next(cut);
    }
  }
  template <typename P, typename S>
  __device__ void read(const S* values, P (&to)[kAtOnce]) const {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) to[i] = reinterpret_cast<const P*>(values)[places[i]];
  }
  template <typename P, typename S>
  __device__ void write(S* values, int i, const P& from) const {
    if (here[i]) reinterpret_cast<P*>(values)[places[i]] = from;
  }

  int64_t places[kAtOnce];
  bool here[kAtOnce];
};

}  // namespace
}  // namespace mcloss
