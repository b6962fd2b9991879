// The first pass over the values of batch_norm_act: the moments of each channel. Included by loops.cpp,
// like ops/kernel/vectors.h.
#pragma once

#include "ops/batch_norm_act/loops.h"
#include "ops/kernel/half_types.h"
#include "ops/kernel/vectors.h"

namespace mcloss {
namespace {

// How many rows are worked on at once.
template <int kCount>
struct Rows {
  static constexpr int value = kCount;
};

// Calls step(row, Rows<kCount>, apart, first) for all of a block's rows: row, row + apart, .. at
// once, each the next of kCount equal parts of the block, so that each part is read in order and a
// processor's prefetcher can follow (rows next to each other share a page, of which it follows one).
template <int kCount, typename Step>
inline void for_rows(int64_t rows, const Step& step) {
  const int64_t apart = rows / kCount;
  for (int64_t row = 0; row < apart; ++row) step(row, Rows<kCount>(), apart, row == 0);
  for (int64_t row = apart * kCount; row < rows; ++row) step(row, Rows<1>(), 0, row == 0);
}

// Merges a block into a channel's moments; sum and squares are of x - pivot.
inline void merge_block(int64_t before, int64_t count, double pivot, double sum, double squares,
                        double& mean, double& m2) {
  const auto n = static_cast<double>(count), m = static_cast<double>(before);
  const double of_block = sum / n, block_m2 = squares - sum * of_block;
  const double apart = pivot + of_block - mean;
  mean += apart * (n / (m + n));
  m2 += (block_m2 < 0 ? 0 : block_m2) + apart * apart * (m * n / (m + n));
}

template <typename S, typename T>
void moments_of_columns(const BnSpan& span, BnMoments& moments, void* scratch) {
  using V = Vector<T>;
  const int64_t width = span.width, padded = whole_vectors(width);
  T* const pivots = static_cast<T*>(scratch);
  T* const sums = pivots + padded;
  T* const squares = sums + padded;
  for (int64_t begin = 0; begin < span.rows; begin += kBnBlockRows) {
    const int64_t rows = begin + kBnBlockRows < span.rows ? kBnBlockRows : span.rows - begin;
    const S* const x = static_cast<const S*>(span.x) + begin * width;
    for_rows<8>(rows, [&](int64_t row, auto group, int64_t apart, bool first) {
      constexpr int kCount = decltype(group)::value;
      const S* const from = x + row * width;
      for_lanes<T>(width, [&](int64_t i, auto lane) {
        V values[kCount], total{};
#pragma GCC unroll 8
        for (int r = 0; r < kCount; ++r) {
          values[r] = load_at(from + r * apart * width + i, lane);
          total += values[r];
        }
        const V pivot = first ? total * (T(1) / kCount) : load<V>(pivots + i);
        if (first) store(pivots + i, pivot);
        V sum{}, square{};
#pragma GCC unroll 8
        for (int r = 0; r < kCount; ++r) {
          const V off = values[r] - pivot;
          sum += off;
          square += off * off;
        }
        store(sums + i, first ? sum : load<V>(sums + i) + sum);
        store(squares + i, first ? square : load<V>(squares + i) + square);
      });
    });
    const int64_t before = moments.count;
    for (int64_t c = 0; c < width; ++c) {
      merge_block(before, rows, pivots[c], sums[c], squares[c], moments.mean[c], moments.m2[c]);
    }
    moments.count += rows;
  }
}

// Blocks stay in the first-level cache, so that the pivot is the block's own mean.
template <typename S, typename T>
void moments_of_channel(const BnSpan& span, BnMoments& moments, void*) {
  constexpr int64_t kBlock = 2048;
  const S* const x = static_cast<const S*>(span.x);
  for (int64_t begin = 0; begin < span.width; begin += kBlock) {
    const int64_t count = begin + kBlock < span.width ? kBlock : span.width - begin;
    const int64_t whole = count / kLanes<T> * kLanes<T>;
    const S* const from = x + begin;
    double total[1] = {}, sums[2] = {};
    add_up<T>(whole, total, [&](int64_t i, auto& lanes) { lanes[0] += load_as(from + i); });
    for (int64_t i = whole; i < count; ++i) total[0] += load_one<T>(from + i);
    const auto pivot = static_cast<T>(total[0] / static_cast<double>(count));
    add_up<T>(whole, sums, [&](int64_t i, auto& lanes) {
      const Vector<T> off = load_as(from + i) - pivot;
      lanes[0] += off;
      lanes[1] += off * off;
    });
    for (int64_t i = whole; i < count; ++i) {
      const double off = load_one<T>(from + i) - pivot;
      sums[0] += off;
      sums[1] += off * off;
    }
    merge_block(moments.count, count, pivot, sums[0], sums[1], *moments.mean, *moments.m2);
    moments.count += count;
  }
}

template <typename S, typename T>
void moments_of(const BnSpan& span, BnMoments& moments, void* scratch) {
  const auto pass = span.per_column ? &moments_of_columns<S, T> : &moments_of_channel<S, T>;
  pass(span, moments, scratch);
}

}  // namespace
}  // namespace mcloss
