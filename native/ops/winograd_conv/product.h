// The matrix products of winograd_conv, and the panels that they read b from. Included by loops.cpp, like
// ops/kernel/vectors.h.
#pragma once

#include "ops/kernel/vectors.h"
#include "ops/winograd_conv/loops.h"

namespace mcloss {
namespace {

// Rows of a block of products that stays in registers; it is two vectors wide.
constexpr int kBlockRows = MCLOSS_VECTOR_BYTES == 64 ? 8 : 4;
template <typename T>
constexpr int64_t kPanel = 2 * kLanes<T>;
static_assert(kWinogradRows % kBlockRows == 0 && kWidestLanes % kLanes<float> == 0);

// Where the panels of a matrix [depth, columns] keep column `column`, a multiple of kLanes, and how far
// apart its rows are there: a last panel may be one vector wide.
template <typename T>
struct PanelColumn {
  int64_t offset, step;
  PanelColumn(int64_t depth, int64_t columns, int64_t column) {
    const int64_t begin = column / kPanel<T> * kPanel<T>;
    step = columns - begin < kPanel<T> ? columns - begin : kPanel<T>;
    offset = begin * depth + (column - begin);
  }
};

// A block of kBlockRows x kVectors vectors of c. kTransposed: a is [depth, rows].
template <typename T, int kVectors, bool kTransposed>
inline void multiply_block(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t depth,
                           T* c, int64_t c_step, bool add) {
  using V = Vector<T>;
  V sums[kBlockRows][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    V columns[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) columns[v] = load<V>(b + k * b_step + v * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < kBlockRows; ++r) {
      const V row = all<V>(kTransposed ? a[k * a_step + r] : a[r * a_step + k]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] += row * columns[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kBlockRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      T* to = c + r * c_step + v * kLanes<T>;
      store(to, add ? load<V>(to) + sums[r][v] : sums[r][v]);
    }
  }
}

template <typename T, int kVectors, bool kTransposed>
inline void multiply_panel(const WinogradProduct<T>& p, const T* b, int64_t b_step, int64_t column,
                           bool add) {
  for (int64_t r = 0; r < p.rows; r += kBlockRows) {
    multiply_block<T, kVectors, kTransposed>(p.a + (kTransposed ? r : r * p.a_step), p.a_step, b,
                                             b_step, p.depth, p.c + r * p.c_step + column, p.c_step,
                                             add);
  }
}

template <typename T>
void multiply(const WinogradProduct<T>& p) {
  int64_t column = 0;
  for (; column + kPanel<T> <= p.columns; column += kPanel<T>) {
    multiply_panel<T, 2, false>(p, p.b + column * p.depth, kPanel<T>, column, false);
  }
  if (column < p.columns) {
    multiply_panel<T, 1, false>(p, p.b + column * p.depth, kLanes<T>, column, false);
  }
}

template <typename T>
void multiply_transposed(const WinogradProduct<T>& p, bool add) {
  int64_t column = 0;
  for (; column + kPanel<T> <= p.columns; column += kPanel<T>) {
    multiply_panel<T, 2, true>(p, p.b + column, p.b_step, column, add);
  }
  if (column < p.columns) multiply_panel<T, 1, true>(p, p.b + column, p.b_step, column, add);
}

}  // namespace
}  // namespace mcloss
