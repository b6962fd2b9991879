// The inner loops of the 3x3 convolution on the CPU, on plain pointers. The same source
// (winograd_conv/loops.cpp) is compiled for three kinds of processor; winograd_conv/cpu.cpp picks
// one.
//
// Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016): a result is cut into tiles of 2x2, each of which needs a 4x4 block d of the
// input. With the filter g,
//   y = A^T [(G g G^T) * (B^T d B)] A
// where * multiplies elements: 16 products for a tile and a pair of channels where the sum over the
// filter takes 36. Summed over channels, each of the 16 frequencies is one matrix product of
// tiles x channels.
#pragma once

#include <cstdint>

#include "ops/kernel/padding.h"

namespace mcloss {

// Images [samples, height, width, channels] and their tiles, by sample, row and column.
struct WinogradImages {
  int64_t samples, height, width, channels;
};
static inline int64_t tiles_along(int64_t positions) { return (positions + 1) / 2; }
static inline int64_t tiles_of(const WinogradImages& images) {
  return images.samples * tiles_along(images.height) * tiles_along(images.width);
}

constexpr int64_t kWinogradFrequencies = 16;
// Transformed, channels are padded with zeros to a whole number of the widest vectors; tiles are
// multiplied by so many at a time.
constexpr int64_t kWinogradRows = 8;

// Tiles transformed: [16, rows, tile_step(channels)], the first `channels` (padded) of each row used. An odd
// number of vectors a row keeps the rows apart in the cache.
template <typename T>
struct WinogradTiles {
  T* values;
  int64_t rows, channels;
};
static inline int64_t tile_step(int64_t channels) {
  return (channels / kWidestLanes | 1) * kWidestLanes;
}
template <typename T>
static inline int64_t tiles_size(const WinogradTiles<T>& tiles) {
  return kWinogradFrequencies * tiles.rows * tile_step(tiles.channels);
}
template <typename T>
static inline T* tile_at(const WinogradTiles<T>& tiles, int64_t frequency, int64_t row) {
  return tiles.values + (frequency * tiles.rows + row) * tile_step(tiles.channels);
}

// c [rows, columns] = a b, or c + a b. rows and columns are multiples of kWinogradRows and
// kWidestLanes.
template <typename T>
struct WinogradProduct {
  int64_t rows, columns, depth;
  const T* a;  // [rows, depth], rows a_step apart; for multiply_transposed [depth, rows]
  int64_t a_step;
  const T* b;      // panels [depth, panel]; for multiply_transposed [depth, columns], b_step apart
  int64_t b_step;  // of multiply_transposed alone
  T* c;
  int64_t c_step;
};

template <typename T>
struct WinogradKernels {
  // The tiles from `first` on and the channels from `channel` on, as many as `to` has; zeros past the
  // last tile and channel. zeros: as many as the images have channels.
  void (*input_tiles)(const WinogradImages&, const T* x, const T* zeros, int64_t first,
                      int64_t channel, const WinogradTiles<T>& to);  // B^T d B
  // A d A^T, the adjoint of output_tiles.
  void (*gradient_tiles)(const WinogradImages&, const T* gradient, const T* zeros, int64_t first,
                         int64_t channel, const WinogradTiles<T>& to);
  // y = A^T m A + bias. bias: [channels] or null.
  void (*output_tiles)(const WinogradImages&, const WinogradTiles<T>& from, const T* bias,
                       int64_t first, T* y);

  // G g G^T of weight [out, 3, 3, in] to the panels of b: [16, in x out], both padded; out channels
  // begin .. end, multiples of kWidestLanes.
  void (*filters)(const T* weight, int64_t out, int64_t in, int64_t begin, int64_t end, T* to);
  // The same of the filters that take a gradient back: turned by 180 degrees, in and out exchanged;
  // panels [16, out x in], in channels begin .. end.
  void (*turned_filters)(const T* weight, int64_t out, int64_t in, int64_t begin, int64_t end,
                         T* to);
  // G^T s G of sums [16, rows, columns], the channels from (first_out, first_in) on, to their places in
  // the gradient [out, 3, 3, in].
  void (*filter_gradient)(const T* sums, int64_t rows, int64_t columns, int64_t first_out,
                          int64_t first_in, int64_t out, int64_t in, T* to);

  void (*multiply)(const WinogradProduct<T>&);                       // c = a b
  void (*multiply_transposed)(const WinogradProduct<T>&, bool add);  // c = a^T b, or c + a^T b
};

struct WinogradLoops {
  WinogradKernels<float> f32;
  WinogradKernels<double> f64;
};
const WinogradLoops& winograd_loops_plain();
const WinogradLoops& winograd_loops_avx2();
const WinogradLoops& winograd_loops_avx512();

}  // namespace mcloss
