// The tensors of a pass of batch_norm_act on the CPU as spans for its loops, cut into chunks for
// threads, and the coefficients of its channels.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"

namespace mcloss {
namespace {

// Rows by chunks of about this many values: enough chunks for many threads, few enough that their
// sums are small beside the values.
constexpr int64_t kChunkValues = 65536, kMostChunks = 256;

struct Chunks {
  explicit Chunks(const BnLayout& layout) : rows(layout.count()) {
    const int64_t wanted =
        std::clamp<int64_t>(rows * layout.channels / kChunkValues, 1, kMostChunks);
    chunk_rows = at::round_up<int64_t>(at::ceil_div(rows, wanted), 8);
    count = at::ceil_div(rows, chunk_rows);
  }
  int64_t begin(int64_t chunk) const { return chunk * chunk_rows; }
  int64_t size(int64_t chunk) const { return std::min(chunk_rows, rows - begin(chunk)); }
  int64_t rows, chunk_rows, count;
};

// The tensors of a pass, all in one layout; spans of them for the kernels.
struct Values {
  const BnLayout layout;
  const int64_t element_size;
  BnSpan whole;  // the pointers of the first value

  Values(const at::Tensor& x, bool relu, const void* coefficients)
      : layout(x),
        element_size(x.element_size()),
        whole{.rows = 1,
              .width = 0,
              .per_column = layout.by_rows,
              .relu = relu,
              .x = x.const_data_ptr(),
              .residual = nullptr,
              .y = nullptr,
              .grad = nullptr,
              .out = nullptr,
              .masked = nullptr,
              .coefficients = coefficients,
              .padded = whole_vectors(layout.channels)} {}

  BnSpan rows(int64_t begin, int64_t count) const {
    return span(begin * layout.channels, count, layout.channels, 0);
  }
  BnSpan plane(int64_t sample, int64_t channel) const {
    return span((sample * layout.channels + channel) * layout.positions, 1, layout.positions,
                channel);
  }

 private:
  BnSpan span(int64_t first, int64_t rows, int64_t width, int64_t channel) const {
    const auto move = [&](auto* pointer) {
      using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(pointer)>>,
                                      const char, char>;
      return pointer ? static_cast<Byte*>(pointer) + first * element_size : nullptr;
    };
    BnSpan result = whole;
    result.rows = rows;
    result.width = width;
    result.x = move(whole.x);
    result.residual = move(whole.residual);
    result.y = move(whole.y);
    result.grad = move(whole.grad);
    result.out = move(whole.out);
    result.masked = move(whole.masked);
    const int64_t coefficient_size = element_size == 8 ? 8 : 4;
    result.coefficients = static_cast<const char*>(whole.coefficients) + channel * coefficient_size;
    return result;
  }
};

// Calls pass(span, scratch) for every chunk. Backwards: last chunk first in each thread, so that it
// begins with what the thread's pass before has left in the cache.
template <typename Pass>
void for_chunks(const Values& values, bool backwards, const Pass& pass) {
  const Chunks chunks(values.layout);
  at::parallel_for(0, chunks.count, 1, [&](int64_t begin, int64_t end) {
    std::vector<char> scratch(bn_scratch_bytes(values.layout.channels));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = backwards ? begin + end - 1 - i : i;
      pass(chunk, values.rows(chunks.begin(chunk), chunks.size(chunk)), scratch.data());
    }
  });
}

template <typename T>
struct Coefficients {
  explicit Coefficients(int64_t channels)
      : padded(whole_vectors(channels)), values(kBnCoefficients * padded) {}
  BnChannel<T> channel(int64_t index) { return {values.data() + index, padded}; }
  int64_t padded;
  std::vector<T> values;
};

}  // namespace
}  // namespace mcloss
