// winograd_conv on the CPU: tensors to plain arrays, threads, and how many tiles go through the caches
// at a time. The loops over the values: winograd_conv_kernel_loops.h. No result depends on the number of
// threads: every sum is taken by one of them, in one order.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "ops/winograd_conv.h"
#include "ops/winograd_conv_kernel.h"

namespace mcloss {
namespace {

using at::Tensor;

// LibTorch's own choice for this processor; the environment variable ATEN_CPU_CAPABILITY lowers it.
template <typename T>
const WinogradKernels<T>& kernels() {
  static const WinogradKernels<T>& chosen = []() -> const WinogradKernels<T>& {
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return winograd_kernels_avx512<T>();
    return capability == "AVX2" ? winograd_kernels_avx2<T>() : winograd_kernels_plain<T>();
  }();
  return chosen;
}

WinogradImages images_of(const Tensor& x) { return {x.size(0), x.size(2), x.size(3), x.size(1)}; }

int64_t whole_rows(int64_t tiles) {
  return (tiles + kWinogradRows - 1) / kWinogradRows * kWinogradRows;
}

// How many tiles go through the caches together: as many as fit into `bytes` transformed, but not so
// few that reading every filter for them (or adding to every sum) takes longer than their products.
int64_t batch_of(int64_t tiles, int64_t channels, int64_t element_size, int64_t bytes,
                 int64_t fewest) {
  const int64_t fit = bytes / (kWinogradFrequencies * channels * element_size);
  return whole_rows(std::min(std::max(fit, fewest), tiles));
}

// y = conv(x, filters) + bias; panels: the filters transformed.
template <typename T>
void convolve(const Tensor& x, const Tensor& panels, const T* bias, const Tensor& y) {
  const WinogradKernels<T>& loops = kernels<T>();
  const WinogradImages from = images_of(x), to = images_of(y);
  const std::vector<T> zeros(from.channels);
  const int64_t tiles = from.tiles();
  const int64_t share = (tiles + at::get_num_threads() - 1) / at::get_num_threads();
  const int64_t batch = batch_of(share, from.channels + to.channels, sizeof(T), 1 << 20, 64);
  const T* const x_data = x.const_data_ptr<T>();
  const T* const filters = panels.const_data_ptr<T>();
  T* const y_data = y.data_ptr<T>();
  at::parallel_for(0, (tiles + batch - 1) / batch, 1, [&](int64_t begin, int64_t end) {
    WinogradTiles<T> inputs{nullptr, batch, from.channels}, products{nullptr, batch, to.channels};
    const Tensor scratch = at::empty({inputs.size() + products.size()}, x.options());
    inputs.values = scratch.data_ptr<T>();
    products.values = inputs.values + inputs.size();
    for (int64_t first = begin * batch; first < std::min(end * batch, tiles); first += batch) {
      loops.input_tiles(from, x_data, zeros.data(), first, 0, batch, inputs);
      for (int64_t f = 0; f < kWinogradFrequencies; ++f) {
        loops.multiply({.rows = batch, .columns = to.channels, .depth = from.channels,
                        .a = inputs.at(f, 0), .a_step = inputs.step(),
                        .b = filters + f * from.channels * to.channels, .b_step = 0,
                        .c = products.at(f, 0), .c_step = products.step()});
      }
      loops.output_tiles(to, products, bias, first, y_data);
    }
  });
}

// [16, in x out] by panels; turned: for the way back, [16, out x in].
template <typename T>
Tensor filter_panels(const Tensor& weight, bool turned) {
  const int64_t out = weight.size(0), in = weight.size(1);
  const Tensor panels = at::empty({kWinogradFrequencies * out * in}, weight.options());
  const auto fill = turned ? kernels<T>().turned_filters : kernels<T>().filters;
  const T* const from = weight.const_data_ptr<T>();
  T* const to = panels.data_ptr<T>();
  at::parallel_for(0, (turned ? in : out) / kWinogradLanes, 1, [&](int64_t begin, int64_t end) {
    fill(from, out, in, begin * kWinogradLanes, end * kWinogradLanes, to);
  });
  return panels;
}

// d loss / d weight: the tiles of x and of the gradient, summed over all tiles for each frequency.
template <typename T>
void weight_gradient(const Tensor& gradient, const Tensor& x, const Tensor& to) {
  const WinogradKernels<T>& loops = kernels<T>();
  const WinogradImages inputs = images_of(x), results = images_of(gradient);
  const int64_t in = inputs.channels, out = results.channels, tiles = inputs.tiles();
  const std::vector<T> zeros(std::max(in, out));
  const int64_t batch = batch_of(tiles, in + out, sizeof(T), 4 << 20, 128);
  const auto flat = x.options().memory_format(at::MemoryFormat::Contiguous);
  const Tensor sums = at::empty({kWinogradFrequencies * out * in}, flat);
  WinogradTiles<T> a{nullptr, batch, out}, b{nullptr, batch, in};
  const Tensor scratch = at::empty({a.size() + b.size()}, flat);
  a.values = scratch.data_ptr<T>();
  b.values = a.values + a.size();
  T* const sums_data = sums.data_ptr<T>();
  const T* const x_data = x.const_data_ptr<T>();
  const T* const gradient_data = gradient.const_data_ptr<T>();
  const int64_t chunks = out / kWinogradLanes;  // of the rows of sums
  for (int64_t first = 0; first < tiles; first += batch) {
    at::parallel_for(0, batch / kWinogradRows, 1, [&](int64_t begin, int64_t end) {
      loops.gradient_tiles(results, gradient_data, zeros.data(), first, begin * kWinogradRows,
                           end * kWinogradRows, a);
      loops.input_tiles(inputs, x_data, zeros.data(), first, begin * kWinogradRows,
                        end * kWinogradRows, b);
    });
    at::parallel_for(0, kWinogradFrequencies * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end;) {
        const int64_t f = item / chunks, chunk = item % chunks;
        const int64_t count = std::min(chunks - chunk, end - item);
        const int64_t row = chunk * kWinogradLanes;
        loops.multiply_transposed({.rows = count * kWinogradLanes, .columns = in, .depth = batch,
                                   .a = a.at(f, 0) + row, .a_step = a.step(), .b = b.at(f, 0),
                                   .b_step = b.step(), .c = sums_data + (f * out + row) * in,
                                   .c_step = in},
                                  first > 0);
        item += count;
      }
    });
  }
  T* const to_data = to.data_ptr<T>();
  at::parallel_for(0, out / kWinogradLanes, 1, [&](int64_t begin, int64_t end) {
    loops.filter_gradient(sums_data, out, in, begin * kWinogradLanes, end * kWinogradLanes, to_data);
  });
}

Tensor by_positions(const Tensor& values) { return values.contiguous(at::MemoryFormat::ChannelsLast); }

Tensor empty_like_positions(const Tensor& values) {
  return at::empty_like(values, at::MemoryFormat::ChannelsLast);
}

Tensor forward(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  check_winograd_conv(x, weight, bias.value_or(Tensor()));
  const Tensor y = empty_winograd_conv(x, weight);
  const Tensor added = bias ? bias->contiguous() : Tensor();
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "winograd_conv", [&] {
    convolve<scalar_t>(by_positions(x), filter_panels<scalar_t>(by_positions(weight), false),
                       bias ? added.const_data_ptr<scalar_t>() : nullptr, y);
  });
  return y;
}

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& gradient, const Tensor& x,
                                            const Tensor& weight, std::array<bool, 3> wanted) {
  check_winograd_conv(x, weight, {});
  const Tensor grad = by_positions(gradient);
  Tensor to_x, to_weight, to_bias;
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "winograd_conv_backward", [&] {
    if (wanted[0]) {
      to_x = empty_like_positions(x);
      convolve<scalar_t>(grad, filter_panels<scalar_t>(by_positions(weight), true), nullptr, to_x);
    }
    if (wanted[1]) {
      to_weight = empty_like_positions(weight);
      weight_gradient<scalar_t>(grad, by_positions(x), to_weight);
    }
  });
  if (wanted[2]) to_bias = grad.sum(at::IntArrayRef{0, 2, 3});
  return {to_x, to_weight, to_bias};
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("winograd_conv", &forward);
  m.impl("winograd_conv_backward", &backward);
}

}  // namespace
}  // namespace mcloss
