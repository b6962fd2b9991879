// The partial sums of a tile's chunks, merged by the block that comes last, always in the same order: the
// same input gives the same bits.
#pragma once

#include "ops/batch_norm_act/walk.cuh"
#include "ops/kernel/reductions.cuh"

namespace mcloss {
namespace {

constexpr int kSumThreads = 512;
// Two blocks of the forward's sums fit a multiprocessor, one of the backward's; a large GPU has 132 of
// them. One block merges kMostChunks chunks in about a microsecond.
constexpr int64_t kMostChunks = 132;
constexpr Wanted kMomentsGrid{kSumThreads, 264, kMostChunks, 2};
constexpr Wanted kGradSumsGrid{kSumThreads, 132, kMostChunks, 2};
// Tiles have one each; where there are more tiles, each has one chunk and needs none.
constexpr int64_t kSemaphores = kMomentsGrid.blocks / 2;

// Of a channel in a chunk: mean and m2; or the sums of g and of g * (x - pivot). [tiles, chunks, tile] of
// them are in memory.
struct alignas(16) Partial {
  double a, b;
  __device__ void add(const Partial& other) {
    a += other.a;
    b += other.b;
  }
};

// Adds up two values of each channel over the block's threads and calls use(channel in its tile, a, b).
template <bool kByRows, int kCount, typename T, typename Use>
__device__ void sum_over_block(const Cut& cut, T (&a)[kCount], T (&b)[kCount], const Use& use) {
  constexpr int kOwn = kByRows ? kCount : 1, kWarps = kSumThreads / kWarp;
  __shared__ T of_warps[2][kWarps][kMostTile];
  if constexpr (!kByRows) {
    for (int k = 1; k < kCount; ++k) {
      a[0] += a[k];
      b[0] += b[k];
    }
  }
  for (int distance = cut.columns; distance < kWarp; distance *= 2) {
#pragma unroll
    for (int k = 0; k < kOwn; ++k) {
      a[k] += __shfl_xor_sync(0xffffffffu, a[k], distance);
      b[k] += __shfl_xor_sync(0xffffffffu, b[k], distance);
    }
  }
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (lane < cut.columns) {
#pragma unroll
    for (int k = 0; k < kOwn; ++k) {
      of_warps[0][warp][lane * kOwn + k] = a[k];
      of_warps[1][warp][lane * kOwn + k] = b[k];
    }
  }
  __syncthreads();
  const int channel = threadIdx.x;
  if (channel >= cut.tile || cut.first_channel() + channel >= cut.channels) return;
  double all_a = 0, all_b = 0;
  for (int w = 0; w < kWarps; ++w) {
    all_a += of_warps[0][w][channel];
    all_b += of_warps[1][w][channel];
  }
  use(channel, all_a, all_b);
}

// Whether this block is the last of its tile. What the others wrote before is then there to read. Puts the
// semaphore back to 0.
__device__ inline bool is_last(unsigned* semaphores) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned others = gridDim.y - 1;
    last = others == 0 || atomicInc(semaphores + blockIdx.x, others) == others;
    __threadfence();
  }
  __syncthreads();
  return last;
}

// Adds up term(chunk, channel in its tile, partial) over the chunks and calls use(channel in its tile, total).
template <typename Term, typename Use>
__device__ void merge_chunks(const Cut& cut, const Partial* of_tile, const Term& term,
                             const Use& use) {
  constexpr int kAtOnce = 8;
  __shared__ Partial totals[kSumThreads];
  const int channel = threadIdx.x % cut.tile, rows = kSumThreads / cut.tile;
  const bool exists = cut.first_channel() + channel < cut.channels;
  const int chunks = exists ? static_cast<int>(cut.chunks) : 0;
  Partial total{0, 0};
  for (int chunk = threadIdx.x / cut.tile; chunk < chunks; chunk += kAtOnce * rows) {
    Partial read[kAtOnce];  // all before the first is used
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      read[i] = of_tile[min(chunk + i * rows, chunks - 1) * cut.tile + channel];
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int own = chunk + i * rows;
      const Partial more = term(min(own, chunks - 1), channel, read[i]);
      total.add(own < chunks ? more : Partial{0, 0});
    }
  }
  totals[threadIdx.x] = total;
  int distance = cut.tile;  // of the tree's first step: no row from there on has chunks
  while (distance < kSumThreads && distance < cut.chunks * cut.tile) distance *= 2;
  while ((distance /= 2) >= cut.tile) {
    __syncthreads();
    if (threadIdx.x < distance) totals[threadIdx.x].add(totals[threadIdx.x + distance]);
  }
  if (threadIdx.x < cut.tile && exists) use(channel, totals[threadIdx.x]);
}

}  // namespace
}  // namespace mcloss
