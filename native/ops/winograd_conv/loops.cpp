// The loops behind winograd_conv/loops.h, for the vectors of one processor (vectors.h). Everything
// here is private to the file that includes it.

#include "ops/winograd_conv/loops.h"

#include "ops/kernel/half_types.h"
#include "ops/kernel/isa.h"
#include "ops/kernel/vectors.h"
#include "ops/winograd_conv/product.h"

namespace mcloss {
namespace {

// for_lanes of `width` values, and then step(i, Part{0}) up to `padded`.
template <typename T, typename Step>
inline void for_padded_lanes(int64_t width, int64_t padded, const Step& step) {
  for_lanes<T>(width, step);
  const int64_t done = (width + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
  for (int64_t i = done; i < padded; i += kLanes<T>) step(i, Part{0});
}

// One side of a transform: 4 or 3 or 2 values to as many as it makes.
template <typename V>
inline void input_side(V a, V b, V c, V d, V (&to)[4]) {  // B^T
  to[0] = a - c;
  to[1] = b + c;
  to[2] = c - b;
  to[3] = b - d;
}
template <typename V>
inline void gradient_side(V a, V b, V (&to)[4]) {  // A
  to[0] = a;
  to[1] = a + b;
  to[2] = a - b;
  to[3] = -b;
}
template <typename V>
inline void output_side(V a, V b, V c, V d, V (&to)[2]) {  // A^T
  to[0] = a + (b + c);
  to[1] = (b - c) - d;
}
template <typename V>
inline void filter_side(V a, V b, V c, V (&to)[4]) {  // G
  const V outer = (a + c) * 0.5f, middle = b * 0.5f;
  to[0] = a;
  to[1] = outer + middle;
  to[2] = outer - middle;
  to[3] = c;
}
template <typename V>
inline void filter_gradient_side(V a, V b, V c, V d, V (&to)[3]) {  // G^T
  const V half = (b + c) * 0.5f;
  to[0] = a + half;
  to[1] = (b - c) * 0.5f;
  to[2] = half + d;
}

// Where a tile lies: its sample and the position of its first result.
struct TilePlace {
  int64_t sample, row, column;
  TilePlace(const WinogradImages& images, int64_t tile) {
    const int64_t across = tiles_along(images.width),
                  of_sample = tiles_along(images.height) * across;
    sample = tile / of_sample;
    row = tile % of_sample / across * 2;
    column = tile % across * 2;
  }
};

// Pointers to the kSize x kSize positions from (row, column) on; to zeros outside the image.
template <typename T, int kSize>
struct Positions {
  const T* at[kSize][kSize];
  Positions(const WinogradImages& images, const T* values, const T* zeros, int64_t tile,
            int64_t before) {
    const bool real = tile < tiles_of(images);
    const TilePlace place(images, tile);
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; ++j) {
        const int64_t row = place.row - before + i, column = place.column - before + j;
        const bool inside =
            real && row >= 0 && row < images.height && column >= 0 && column < images.width;
        at[i][j] = inside
                       ? values + ((place.sample * images.height + row) * images.width + column) *
                                      images.channels
                       : zeros;
      }
    }
  }
};

// How many of `count` channels from `channel` on there are.
inline int64_t channels_from(const WinogradImages& images, int64_t channel, int64_t count) {
  return images.channels - channel < count ? images.channels - channel : count;
}

template <typename T>
void input_tiles(const WinogradImages& images, const T* x, const T* zeros, int64_t first,
                 int64_t channel, const WinogradTiles<T>& to) {
  using V = Vector<T>;
  const int64_t frequency_step = to.rows * tile_step(to.channels);
  const int64_t channels = channels_from(images, channel, to.channels);
  for (int64_t row = 0; row < to.rows; ++row) {
    const Positions<T, 4> from(images, x + channel, zeros, first + row, /*before=*/1);
    T* out = tile_at(to, 0, row);
    for_padded_lanes<T>(channels, to.channels, [&](int64_t c, auto lane) {
      const auto value = [&](int i, int j) { return load_at(from.at[i][j] + c, lane); };
      V columns[4][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        input_side(value(0, j), value(1, j), value(2, j), value(3, j), columns[j]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        V result[4];
        input_side(columns[0][i], columns[1][i], columns[2][i], columns[3][i], result);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) store(out + (i * 4 + j) * frequency_step + c, result[j]);
      }
    });
  }
}

template <typename T>
void gradient_tiles(const WinogradImages& images, const T* gradient, const T* zeros, int64_t first,
                    int64_t channel, const WinogradTiles<T>& to) {
  using V = Vector<T>;
  const int64_t frequency_step = to.rows * tile_step(to.channels);
  const int64_t channels = channels_from(images, channel, to.channels);
  for (int64_t row = 0; row < to.rows; ++row) {
    const Positions<T, 2> from(images, gradient + channel, zeros, first + row, /*before=*/0);
    T* out = tile_at(to, 0, row);
    for_padded_lanes<T>(channels, to.channels, [&](int64_t c, auto lane) {
      V columns[2][4];
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        gradient_side(load_at(from.at[0][j] + c, lane), load_at(from.at[1][j] + c, lane),
                      columns[j]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        V result[4];
        gradient_side(columns[0][i], columns[1][i], result);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) store(out + (i * 4 + j) * frequency_step + c, result[j]);
      }
    });
  }
}

template <typename T>
void output_tiles(const WinogradImages& images, const WinogradTiles<T>& from, const T* bias,
                  int64_t first, T* y) {
  using V = Vector<T>;
  const int64_t frequency_step = from.rows * tile_step(from.channels);
  const int64_t end = first + from.rows < tiles_of(images) ? first + from.rows : tiles_of(images);
  for (int64_t tile = first; tile < end; ++tile) {
    const TilePlace place(images, tile);
    T* to = y + ((place.sample * images.height + place.row) * images.width + place.column) *
                    images.channels;
    const int rows = place.row + 1 < images.height ? 2 : 1;
    const int columns = place.column + 1 < images.width ? 2 : 1;
    const T* in = tile_at(from, 0, tile - first);
    for_lanes<T>(images.channels, [&](int64_t c, auto lane) {
      const auto value = [&](int i, int j) {
        return load<V>(in + (i * 4 + j) * frequency_step + c);
      };
      V sides[4][2];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        output_side(value(0, j), value(1, j), value(2, j), value(3, j), sides[j]);
      }
      const V add = bias ? load_at(bias + c, lane) : V{};
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        if (i >= rows) break;
        V result[2];
        output_side(sides[0][i], sides[1][i], sides[2][i], sides[3][i], result);
        T* row = to + i * images.width * images.channels + c;
        store_at(row, result[0] + add, lane);
        if (columns == 2) store_at(row + images.channels, result[1] + add, lane);
      }
    });
  }
}

// G g G^T of the filters of kLanes neighbouring in channels; tap(i, j) gives their taps.
template <typename T, typename Tap>
inline void transform_filter(const Tap& tap, Vector<T> (&to)[4][4]) {
  using V = Vector<T>;
  V columns[3][4];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) filter_side(tap(0, j), tap(1, j), tap(2, j), columns[j]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) filter_side(columns[0][i], columns[1][i], columns[2][i], to[i]);
}

template <typename T>
void filters(const T* weight, int64_t out, int64_t in, int64_t begin, int64_t end, T* to) {
  using V = Vector<T>;
  constexpr int64_t kCount = kLanes<T>;
  const int64_t depth = whole_vectors(in), size = depth * whole_vectors(out);
  for (int64_t o = begin; o < end; o += kCount) {
    const PanelColumn<T> place(depth, whole_vectors(out), o);
    for_padded_lanes<T>(in, depth, [&](int64_t i, auto lane) {
      V block[16][kCount] = {};  // by frequency and out channel, in channels as lanes
      for (int64_t k = 0; k < kCount && o + k < out; ++k) {
        const T* taps = weight + (o + k) * 9 * in + i;
        V transformed[4][4];
        transform_filter<T>([&](int a, int b) { return load_at(taps + (a * 3 + b) * in, lane); },
                            transformed);
        for (int f = 0; f < 16; ++f) block[f][k] = transformed[f / 4][f % 4];
      }
      for (int f = 0; f < 16; ++f) {
        transpose<T>(block[f]);
        T* rows = to + f * size + place.offset + i * place.step;
        for (int64_t k = 0; k < kCount; ++k) store(rows + k * place.step, block[f][k]);
      }
    });
  }
}

template <typename T>
void turned_filters(const T* weight, int64_t out, int64_t in, int64_t begin, int64_t end, T* to) {
  using V = Vector<T>;
  const int64_t depth = whole_vectors(out), size = depth * whole_vectors(in);
  const int64_t real = end < in ? end : in;
  for_padded_lanes<T>(real - begin, end - begin, [&](int64_t offset, auto lane) {
    const int64_t i = begin + offset;
    const PanelColumn<T> place(depth, whole_vectors(in), i);
    for (int64_t o = 0; o < depth; ++o) {
      const T* taps = weight + o * 9 * in + i;
      V transformed[4][4] = {};
      if (o < out) {
        transform_filter<T>(
            [&](int a, int b) { return load_at(taps + (8 - a * 3 - b) * in, lane); }, transformed);
      }
      T* row = to + place.offset + o * place.step;
      for (int f = 0; f < 16; ++f) store(row + f * size, transformed[f / 4][f % 4]);
    }
  });
}

template <typename T>
void filter_gradient(const T* sums, int64_t rows, int64_t columns, int64_t first_out,
                     int64_t first_in, int64_t out, int64_t in, T* to) {
  using V = Vector<T>;
  const int64_t real_rows = out - first_out < rows ? out - first_out : rows;
  const int64_t real_columns = in - first_in < columns ? in - first_in : columns;
  for (int64_t o = 0; o < real_rows; ++o) {
    T* const taps = to + (first_out + o) * 9 * in + first_in;
    for_lanes<T>(real_columns, [&](int64_t i, auto lane) {
      const auto sum = [&](int a, int b) {
        return load<V>(sums + ((a * 4 + b) * rows + o) * columns + i);
      };
      V sides[4][3];
#pragma GCC unroll 4
      for (int b = 0; b < 4; ++b) {
        filter_gradient_side(sum(0, b), sum(1, b), sum(2, b), sum(3, b), sides[b]);
      }
#pragma GCC unroll 3
      for (int a = 0; a < 3; ++a) {
        V result[3];
        filter_gradient_side(sides[0][a], sides[1][a], sides[2][a], sides[3][a], result);
        for (int b = 0; b < 3; ++b) store_at(taps + (a * 3 + b) * in + i, result[b], lane);
      }
    });
  }
}

template <typename T>
constexpr WinogradKernels<T> kKernels = {
    input_tiles<T>,    gradient_tiles<T>,  output_tiles<T>, filters<T>,
    turned_filters<T>, filter_gradient<T>, multiply<T>,     multiply_transposed<T>,
};
constexpr WinogradLoops kWinogradLoops = {kKernels<float>, kKernels<double>};

}  // namespace

const WinogradLoops& MCLOSS_FOR_ISA(winograd_loops)() { return kWinogradLoops; }

}  // namespace mcloss
