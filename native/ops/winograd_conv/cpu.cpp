// winograd_conv on the CPU: tensors to plain arrays, threads, and how many tiles go through the caches
// at a time. The loops over the values: winograd_conv/loops.cpp. No result depends on the number of
// threads: every sum is taken by one of them, in one order.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>
#include <vector>

#include "ops/kernel/processor.h"
#include "ops/winograd_conv/checks.h"
#include "ops/winograd_conv/loops.h"

namespace mcloss {
namespace {

using at::Tensor;

const WinogradLoops& loops_here() {
  static const WinogradLoops& chosen = form_for_processor(
      at::get_cpu_capability(), winograd_loops_plain, winograd_loops_avx2, winograd_loops_avx512)();
  return chosen;
}

template <typename T>
const WinogradKernels<T>& kernels() {
  if constexpr (std::is_same_v<T, float>) {
    return loops_here().f32;
  } else {
    return loops_here().f64;
  }
}

WinogradImages images_of(const Tensor& x) { return {x.size(0), x.size(2), x.size(3), x.size(1)}; }

int64_t whole_rows(int64_t tiles) { return at::round_up(tiles, kWinogradRows); }

// y = conv(x, filters) + bias; panels: the filters transformed. A thread takes batches of tiles: as many
// as fit into its cache, but not so few that reading all filters for them takes longer than the products.
template <typename T>
void convolve(const Tensor& x, const Tensor& panels, const T* bias, const Tensor& y) {
  constexpr int64_t kCacheBytes = 1 << 20, kFewestTiles = 64;
  const WinogradKernels<T>& loops = kernels<T>();
  const WinogradImages from = images_of(x), to = images_of(y);
  const int64_t in = whole_vectors(from.channels), out = whole_vectors(to.channels);
  const std::vector<T> zeros(from.channels);
  const int64_t tiles = tiles_of(from);
  const int64_t fit = kCacheBytes / (kWinogradFrequencies * (in + out) * sizeof(T));
  const int64_t batch = whole_rows(
      std::min(std::max(fit, kFewestTiles), at::ceil_div<int64_t>(tiles, at::get_num_threads())));
  const T* const x_data = x.const_data_ptr<T>();
  const T* const filters = panels.const_data_ptr<T>();
  T* const y_data = y.data_ptr<T>();
  at::parallel_for(0, at::ceil_div(tiles, batch), 1, [&](int64_t begin, int64_t end) {
    WinogradTiles<T> inputs{nullptr, batch, in}, products{nullptr, batch, out};
    const Tensor scratch = at::empty({tiles_size(inputs) + tiles_size(products)}, x.options());
    inputs.values = scratch.data_ptr<T>();
    products.values = inputs.values + tiles_size(inputs);
    for (int64_t first = begin * batch; first < std::min(end * batch, tiles); first += batch) {
      inputs.rows = products.rows = std::min(batch, whole_rows(tiles - first));
      loops.input_tiles(from, x_data, zeros.data(), first, /*channel=*/0, inputs);
      for (int64_t f = 0; f < kWinogradFrequencies; ++f) {
        loops.multiply({.rows = inputs.rows,
                        .columns = out,
                        .depth = in,
                        .a = tile_at(inputs, f, 0),
                        .a_step = tile_step(in),
                        .b = filters + f * in * out,
                        .b_step = 0,
                        .c = tile_at(products, f, 0),
                        .c_step = tile_step(out)});
      }
      loops.output_tiles(to, products, bias, first, y_data);
    }
  });
}

// The filters transformed, [16, in x out] padded and by panels; turned: for the way back, [16, out x in].
template <typename T>
Tensor filter_panels(const Tensor& weight, bool turned) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const Tensor panels =
      at::empty({kWinogradFrequencies * whole_vectors(out) * whole_vectors(in)}, weight.options());
  const auto fill = turned ? kernels<T>().turned_filters : kernels<T>().filters;
  const T* const from = weight.const_data_ptr<T>();
  T* const to = panels.data_ptr<T>();
  const int64_t columns = whole_vectors(turned ? in : out) / kWidestLanes;
  at::parallel_for(0, columns, 1, [&](int64_t begin, int64_t end) {
    fill(from, out, in, begin * kWidestLanes, end * kWidestLanes, to);
  });
  return panels;
}

// d loss / d weight: for each frequency the products of the tiles of the gradient and of x, summed over
// all tiles. A thread takes blocks of out x in channels, and transforms their tiles for itself: its sums
// and tiles stay in its own cache, which pays for transforming a tile more than once.
template <typename T>
void weight_gradient(const Tensor& gradient, const Tensor& x, const Tensor& to) {
  constexpr int64_t kBatch = 48;
  const WinogradKernels<T>& loops = kernels<T>();
  const WinogradImages inputs = images_of(x), results = images_of(gradient);
  const int64_t in = whole_vectors(inputs.channels), out = whole_vectors(results.channels);
  const int64_t tiles = tiles_of(inputs);
  int64_t rows = 128, columns = 64;
  const auto blocks = [&] { return at::ceil_div(out, rows) * at::ceil_div(in, columns); };
  while (blocks() < at::get_num_threads() && rows * columns > kWidestLanes * kWidestLanes) {
    (rows >= columns ? rows : columns) /= 2;
  }
  const std::vector<T> zeros(std::max(inputs.channels, results.channels));
  const T* const x_data = x.const_data_ptr<T>();
  const T* const gradient_data = gradient.const_data_ptr<T>();
  T* const to_data = to.data_ptr<T>();
  at::parallel_for(0, blocks(), 1, [&](int64_t begin, int64_t end) {
    WinogradTiles<T> a{nullptr, kBatch, rows}, b{nullptr, kBatch, columns};
    const Tensor scratch = at::empty(
        {tiles_size(a) + tiles_size(b) + kWinogradFrequencies * rows * columns}, x.options());
    a.values = scratch.data_ptr<T>();
    b.values = a.values + tiles_size(a);
    T* const sums = b.values + tiles_size(b);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t across = at::ceil_div(in, columns);
      const int64_t first_out = block / across * rows, first_in = block % across * columns;
      a.channels = std::min(rows, out - first_out);
      b.channels = std::min(columns, in - first_in);
      const int64_t sums_size = a.channels * b.channels;
      for (int64_t first = 0; first < tiles; first += kBatch) {
        a.rows = b.rows = std::min(kBatch, whole_rows(tiles - first));
        loops.gradient_tiles(results, gradient_data, zeros.data(), first, first_out, a);
        loops.input_tiles(inputs, x_data, zeros.data(), first, first_in, b);
        for (int64_t f = 0; f < kWinogradFrequencies; ++f) {
          loops.multiply_transposed({.rows = a.channels,
                                     .columns = b.channels,
                                     .depth = a.rows,
                                     .a = tile_at(a, f, 0),
                                     .a_step = tile_step(a.channels),
                                     .b = tile_at(b, f, 0),
                                     .b_step = tile_step(b.channels),
                                     .c = sums + f * sums_size,
                                     .c_step = b.channels},
                                    /*add=*/first > 0);
        }
      }
      loops.filter_gradient(sums, a.channels, b.channels, first_out, first_in, results.channels,
                            inputs.channels, to_data);
    }
  });
}

// d loss / d bias: the sums of chunks of positions, added in order.
template <typename T>
void bias_gradient(const Tensor& gradient, const Tensor& to) {
  constexpr int64_t kChunk = 4096;
  const int64_t out = to.size(0), positions = gradient.numel() / out;
  const int64_t chunks = at::ceil_div(positions, kChunk);
  std::vector<double> sums(chunks * out);
  const T* const from = gradient.const_data_ptr<T>();
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      double* const sum = sums.data() + chunk * out;
      for (int64_t i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, positions); ++i) {
        for (int64_t c = 0; c < out; ++c) sum[c] += from[i * out + c];
      }
    }
  });
  for (int64_t c = 0; c < out; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += sums[chunk * out + c];
    to.data_ptr<T>()[c] = static_cast<T>(sum);
  }
}

Tensor by_positions(const Tensor& values) {
  return values.contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor forward(const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
  check_winograd_conv(x, weight, bias);
  const Tensor y = empty_winograd_conv(x, weight);
  const MaybeTensor added = contiguous(bias);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "winograd_conv", [&] {
    convolve<scalar_t>(by_positions(x), filter_panels<scalar_t>(by_positions(weight), false),
                       data_or_null<const scalar_t>(added), y);
  });
  return y;
}

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& gradient, const Tensor& x,
                                            const Tensor& weight, std::array<bool, 3> wanted) {
  check_winograd_conv_backward(gradient, x, weight);
  const Tensor grad = by_positions(gradient);
  Tensor to_x, to_weight, to_bias;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "winograd_conv_backward", [&] {
    if (wanted[0]) {
      to_x = empty_winograd_grad(x);
      convolve<scalar_t>(grad, filter_panels<scalar_t>(by_positions(weight), true), nullptr, to_x);
    }
    if (wanted[1]) {
      to_weight = empty_winograd_grad(weight);
      weight_gradient<scalar_t>(grad, by_positions(x), to_weight);
    }
    if (wanted[2]) {
      to_bias = at::empty({weight.size(0)}, weight.options());
      bias_gradient<scalar_t>(grad, to_bias);
    }
  });
  return {to_x, to_weight, to_bias};
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("winograd_conv_forward", &forward);
  m.impl("winograd_conv_backward", &backward);
}

}  // namespace
}  // namespace mcloss
