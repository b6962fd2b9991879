// Channels of a feature map of any strides as rows of T in a small buffer, and back. Included by the
// CPU kernels, like ops/kernel/vectors.h.
#pragma once

#include "ops/kernel/half_types.h"
#include "ops/kernel/vectors.h"
#include "ops/mc_loss/loops.h"

namespace mcloss {
namespace {

// One sample of a map whose elements are S.
template <typename S>
struct SampleMap {
  SampleMap(const McMap& map, int64_t sample, int64_t height, int64_t width)
      : data(static_cast<S*>(map.data) + sample * map.sample),
        channel(map.channel),
        row(map.row),
        column(map.column),
        width(width),
        positions(height * width),
        even(row == width * column || height == 1),
        has_rows(even && column == 1) {}

  S* at(int64_t c, int64_t position) const {
    return data + c * channel +
           (even ? position * column : position / width * row + position % width * column);
  }

  S* const data;
  const int64_t channel, row, column, width, positions;
  const bool even;      // the same distance from each position to the next
  const bool has_rows;  // and the positions of a channel lie next to each other
};

// Calls block(channel, position) for all blocks of kLanes x kLanes where channels lie next to each
// other, and one(channel, position) for all that is left of first..first + count - 1.
template <typename T, typename S, typename Block, typename One>
inline void for_each_block(const SampleMap<S>& map, int64_t count, const Block& block,
                           const One& one) {
  constexpr int64_t kSize = kLanes<T>;
  const int64_t whole_channels = map.channel == 1 ? count / kSize * kSize : 0;
  const int64_t whole_positions = map.positions / kSize * kSize;
  for (int64_t p = 0; p < whole_positions; p += kSize) {
    for (int64_t c = 0; c < whole_channels; c += kSize) block(c, p);
  }
  for (int64_t p = 0; p < map.positions; ++p) {
    for (int64_t c = p < whole_positions ? whole_channels : 0; c < count; ++c) one(c, p);
  }
}

// Channels first..first + count - 1 into rows of `padded` values; the padding is -infinity.
template <typename S, typename T>
inline void read_rows(const SampleMap<S>& map, int64_t first, int64_t count, T* rows,
                      int64_t padded) {
  if (map.has_rows) {
    for (int64_t c = 0; c < count; ++c) {
      const S* from = map.at(first + c, 0);
      T* to = rows + c * padded;
      int64_t p = 0;
      for (; p + kLanes<T> <= map.positions; p += kLanes<T>) store(to + p, load_as(from + p));
      for (; p < map.positions; ++p) to[p] = load_one<T>(from + p);
    }
  } else {
    const auto block = [&](int64_t c, int64_t p) {
      Vector<T> values[kLanes<T>];
      for (int i = 0; i < kLanes<T>; ++i) values[i] = load_as(map.at(first + c, p + i));
      transpose<T>(values);
      for (int i = 0; i < kLanes<T>; ++i) store(rows + (c + i) * padded + p, values[i]);
    };
    for_each_block<T>(map, count, block, [&](int64_t c, int64_t p) {
      rows[c * padded + p] = load_one<T>(map.at(first + c, p));
    });
  }
  for (int64_t c = 0; c < count; ++c) {
    for (int64_t p = map.positions; p < padded; ++p) rows[c * padded + p] = -T(__builtin_inff());
  }
}

// The way back: rows of `padded` values into channels first..first + count - 1.
template <typename S, typename T>
inline void write_rows(const T* rows, int64_t padded, const SampleMap<S>& map, int64_t first,
                       int64_t count) {
  if (map.has_rows) {
    for (int64_t c = 0; c < count; ++c) {
      S* to = map.at(first + c, 0);
      const T* from = rows + c * padded;
      int64_t p = 0;
      for (; p + kLanes<T> <= map.positions; p += kLanes<T>) {
        store_as(to + p, load<Vector<T>>(from + p));
      }
      for (; p < map.positions; ++p) store_one(to + p, from[p]);
    }
    return;
  }
  const auto block = [&](int64_t c, int64_t p) {
    Vector<T> values[kLanes<T>];
    for (int i = 0; i < kLanes<T>; ++i) values[i] = load<Vector<T>>(rows + (c + i) * padded + p);
    transpose<T>(values);
    for (int i = 0; i < kLanes<T>; ++i) store_as(map.at(first + c, p + i), values[i]);
  };
  for_each_block<T>(map, count, block, [&](int64_t c, int64_t p) {
    store_one(map.at(first + c, p), rows[c * padded + p]);
  });
}

}  // namespace
}  // namespace mcloss
