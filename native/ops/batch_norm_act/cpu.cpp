// batch_norm_act on the CPU: tensors to plain arrays, threads, and the statistics of a channel. The
// loops over the values: batch_norm_act/loops.cpp.
//
// channels_last: fixed chunks of rows, each with all channels; their sums are merged in order.
// contiguous: a channel at a time. Neither depends on the number of threads, and so no result does.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ceil_div.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"
#include "ops/kernel/processor.h"

namespace mcloss {
namespace {

using at::Tensor;

const BnPasses& passes(at::ScalarType dtype) {
  static const BnPasses* const all = form_for_processor(at::get_cpu_capability(), bn_passes_plain,
                                                        bn_passes_avx2, bn_passes_avx512)();
  return all[static_cast<int>(storage_of(dtype))];
}

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

  Values(const Tensor& x, bool relu, const void* coefficients)
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
              .padded = bn_padded(layout.channels)} {}

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
      : padded(bn_padded(channels)), values(kBnCoefficients * padded) {}
  T& at(BnCoefficient which, int64_t channel) { return values[which * padded + channel]; }
  int64_t padded;
  std::vector<T> values;
};

// ---- forward ----

template <typename T>
T value_or(const MaybeTensor& tensor, int64_t channel, T otherwise) {
  return tensor ? tensor->const_data_ptr<T>()[channel * tensor->stride(0)] : otherwise;
}

// What the statistics of a channel make of its coefficients and of its saved values.
template <typename T>
void take_statistics(const BnArguments& arguments, int64_t channel, double mean, double var,
                     Coefficients<T>& coefficients, const Tensor& saved) {
  const double inv_std = 1 / std::sqrt(var + arguments.eps);
  const T pivot = static_cast<T>(mean);
  const T scale = static_cast<T>(value_or<T>(arguments.weight, channel, 1) * inv_std);
  const T shift = static_cast<T>(value_or<T>(arguments.bias, channel, 0) - (mean - pivot) * scale);
  coefficients.at(kPivot, channel) = pivot;
  coefficients.at(kScale, channel) = scale;
  coefficients.at(kShift, channel) = shift;
  double* const to = saved.data_ptr<double>() + channel;
  const int64_t channels = saved.size(1);
  to[kSavedMean * channels] = mean;
  to[kSavedInvStd * channels] = inv_std;
  to[kSavedScale * channels] = scale;
  to[kSavedShift * channels] = shift;
}

template <typename T>
void move_running(const MaybeTensor& running, int64_t channel, double towards, double momentum) {
  if (!running) return;
  T& value = running->mutable_data_ptr<T>()[channel];
  value = static_cast<T>((1 - momentum) * value + momentum * towards);
}

template <typename T>
void take_moments(const BnArguments& arguments, int64_t channel, int64_t count, double mean,
                  double m2, Coefficients<T>& coefficients, const Tensor& saved) {
  take_statistics(arguments, channel, mean, m2 / static_cast<double>(count), coefficients, saved);
  move_running<T>(arguments.running_mean, channel, mean, arguments.momentum);
  move_running<T>(arguments.running_var, channel, m2 / static_cast<double>(count - 1),
                  arguments.momentum);
}

// The moments of all chunks in order, as Chan, Golub and LeVeque (1979) merge them.
void merge_chunks(const Chunks& chunks, const double* moments, int64_t channels, int64_t begin,
                  int64_t end, double* mean, double* m2) {
  for (int64_t chunk = 0; chunk < chunks.count; ++chunk) {
    const double* const chunk_mean = moments + chunk * 2 * channels;
    const double* const chunk_m2 = chunk_mean + channels;
    const auto before = static_cast<double>(chunks.begin(chunk));
    const auto size = static_cast<double>(chunks.size(chunk));
    const double share = size / (before + size);
    for (int64_t c = begin; c < end; ++c) {
      const double apart = chunk_mean[c] - mean[c - begin];
      mean[c - begin] += apart * share;
      m2[c - begin] += chunk_m2[c] + apart * apart * before * share;
    }
  }
}

constexpr int64_t kChannelGrain = 256;

template <typename T>
void batch_statistics_by_rows(const BnArguments& arguments, const Values& values,
                              const BnPasses& pass, Coefficients<T>& coefficients,
                              const Tensor& saved) {
  const Chunks chunks(values.layout);
  const int64_t channels = values.layout.channels;
  std::vector<double> moments(chunks.count * 2 * channels);
  for_chunks(values, false, [&](int64_t chunk, const BnSpan& span, void* scratch) {
    double* const mean = moments.data() + chunk * 2 * channels;
    BnMoments of_chunk{0, mean, mean + channels};
    pass.moments(span, of_chunk, scratch);
  });
  at::parallel_for(0, channels, kChannelGrain, [&](int64_t begin, int64_t end) {
    std::vector<double> mean(end - begin), m2(end - begin);
    merge_chunks(chunks, moments.data(), channels, begin, end, mean.data(), m2.data());
    for (int64_t c = begin; c < end; ++c) {
      take_moments(arguments, c, chunks.rows, mean[c - begin], m2[c - begin], coefficients, saved);
    }
  });
}

template <typename T>
void running_statistics(const BnArguments& arguments, int64_t channel,
                        Coefficients<T>& coefficients, const Tensor& saved) {
  take_statistics<T>(arguments, channel, value_or<T>(arguments.running_mean, channel, 0),
                     value_or<T>(arguments.running_var, channel, 1), coefficients, saved);
}

template <typename T>
void forward(const BnArguments& arguments, Values& values, Coefficients<T>& coefficients,
             const BnPasses& pass, const Tensor& saved) {
  values.whole.coefficients = coefficients.values.data();
  const auto& layout = values.layout;
  if (layout.by_rows) {
    if (arguments.training) {
      batch_statistics_by_rows(arguments, values, pass, coefficients, saved);
    } else {
      for (int64_t c = 0; c < layout.channels; ++c) {
        running_statistics(arguments, c, coefficients, saved);
      }
    }
    for_chunks(values, true, [&](int64_t, const BnSpan& span, void*) { pass.normalize(span); });
    return;
  }
  // The second pass over a channel finds it in the cache.
  at::parallel_for(0, layout.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      if (arguments.training) {
        double mean = 0, m2 = 0;
        BnMoments moments{0, &mean, &m2};
        for (int64_t n = 0; n < layout.samples; ++n) {
          pass.moments(values.plane(n, c), moments, nullptr);
        }
        take_moments(arguments, c, moments.count, mean, m2, coefficients, saved);
      } else {
        running_statistics(arguments, c, coefficients, saved);
      }
      for (int64_t n = layout.samples - 1; n >= 0; --n) pass.normalize(values.plane(n, c));
    }
  });
}

ForwardResult batch_norm_act_forward_cpu(const Tensor& given_x, const MaybeTensor& residual,
                                         const MaybeTensor& weight, const MaybeTensor& bias,
                                         const MaybeTensor& running_mean,
                                         const MaybeTensor& running_var, bool training,
                                         double momentum, double eps, bool relu) {
  BnArguments arguments{given_x,     residual, weight,   bias, running_mean,
                        running_var, training, momentum, eps,  relu};
  check_batch_norm_act(arguments);
  const Tensor x = bn_laid_out(given_x), y = at::empty_like(x), saved = empty_bn_saved(x);
  arguments.residual = bn_laid_out_as(x, residual);

  AT_DISPATCH_FLOATING_TYPES(accumulate_type(x.scalar_type()), "batch_norm_act_forward", [&] {
    Coefficients<scalar_t> coefficients(x.size(1));
    Values values(x, relu, nullptr);
    if (residual) values.whole.residual = arguments.residual->const_data_ptr();
    values.whole.out = y.data_ptr();
    forward(arguments, values, coefficients, passes(x.scalar_type()), saved);
  });
  if (training) bn_running_moved(arguments);
  return {y, saved};
}

// ---- backward ----

// d loss / d weight and d loss / d bias of a channel, and its coefficients of d loss / d x.
template <typename T>
void take_sums(const Tensor& saved, bool training, int64_t count, int64_t channel, double sum,
               double product, Coefficients<T>& coefficients, const Tensor& grad_weight,
               const Tensor& grad_bias) {
  const double* const from = saved.const_data_ptr<double>() + channel;
  const int64_t channels = saved.size(1);
  const double inv_std = from[kSavedInvStd * channels], scale = from[kSavedScale * channels];
  const double rest = from[kSavedMean * channels] - coefficients.at(kPivot, channel);
  // Of g * xhat; `product` is of g * (x - pivot).
  const double weighted = (product - rest * sum) * inv_std;
  grad_weight.data_ptr<T>()[channel] = static_cast<T>(weighted);
  grad_bias.data_ptr<T>()[channel] = static_cast<T>(sum);
  const auto n = static_cast<double>(count);
  const double x_scale = training ? -scale * inv_std * weighted / n : 0;
  const double grad_shift = training ? -scale * sum / n - x_scale * rest : 0;
  coefficients.at(kGradScale, channel) = static_cast<T>(scale);
  coefficients.at(kXScale, channel) = static_cast<T>(x_scale);
  coefficients.at(kGradShift, channel) = static_cast<T>(grad_shift);
}

template <typename T>
void backward(const Tensor& saved, bool training, Values& values, const BnPasses& pass,
              const Tensor& grad_weight, const Tensor& grad_bias) {
  const BnLayout& layout = values.layout;
  const int64_t channels = layout.channels, padded = bn_padded(channels);
  Coefficients<T> coefficients(channels);
  values.whole.coefficients = coefficients.values.data();
  const double* const from = saved.const_data_ptr<double>();
  for (int64_t c = 0; c < channels; ++c) {
    coefficients.at(kPivot, c) = static_cast<T>(from[kSavedMean * channels + c]);
    coefficients.at(kScale, c) = static_cast<T>(from[kSavedScale * channels + c]);
    coefficients.at(kShift, c) = static_cast<T>(from[kSavedShift * channels + c]);
  }
  const auto take = [&](int64_t c, double sum, double product) {
    take_sums(saved, training, layout.count(), c, sum, product, coefficients, grad_weight,
              grad_bias);
  };
  // Once `masked` is written it stands for the gradient and its ReLU.
  const auto gradient = [&](BnSpan span) {
    if (span.masked) {
      span.grad = span.masked;
      span.relu = false;
    }
    pass.gradient(span);
  };
  if (layout.by_rows) {
    const Chunks chunks(layout);
    std::vector<double> sums(chunks.count * 2 * padded);
    for_chunks(values, false, [&](int64_t chunk, const BnSpan& span, void* scratch) {
      pass.sums(span, sums.data() + chunk * 2 * padded, scratch);
    });
    at::parallel_for(0, channels, kChannelGrain, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = 1; chunk < chunks.count; ++chunk) {
        const double* const more = sums.data() + chunk * 2 * padded;
        for (int64_t c = begin; c < end; ++c) sums[c] += more[c];
        for (int64_t c = begin; c < end; ++c) sums[padded + c] += more[padded + c];
      }
      for (int64_t c = begin; c < end; ++c) take(c, sums[c], sums[padded + c]);
    });
    for_chunks(values, true, [&](int64_t, const BnSpan& span, void*) { gradient(span); });
    return;
  }
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(padded + 1);
    for (int64_t c = begin; c < end; ++c) {
      sums[0] = sums[padded] = 0;
      for (int64_t n = 0; n < layout.samples; ++n)
        pass.sums(values.plane(n, c), sums.data(), nullptr);
      take(c, sums[0], sums[padded]);
      for (int64_t n = layout.samples - 1; n >= 0; --n) gradient(values.plane(n, c));
    }
  });
}

BackwardResult batch_norm_act_backward_cpu(const Tensor& given_grad, const Tensor& given_x,
                                           const MaybeTensor& given_y, const Tensor& saved,
                                           bool training, bool relu, bool grad_residual) {
  const Tensor x = bn_laid_out(given_x), grad = bn_laid_out_as(x, given_grad);
  const MaybeTensor y = bn_laid_out_as(x, given_y);
  const auto [grad_x, grad_weight, grad_bias, masked] = empty_bn_gradients(x, grad_residual);
  AT_DISPATCH_FLOATING_TYPES(accumulate_type(x.scalar_type()), "batch_norm_act_backward", [&] {
    Values values(x, relu, nullptr);
    values.whole.grad = grad.const_data_ptr();
    if (y) values.whole.y = y->const_data_ptr();
    values.whole.out = grad_x.data_ptr();
    if (grad_residual) values.whole.masked = masked.data_ptr();
    backward<scalar_t>(saved, training, values, passes(x.scalar_type()), grad_weight, grad_bias);
  });
  return {grad_x, grad_weight, grad_bias, masked};
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("batch_norm_act_forward", &batch_norm_act_forward_cpu);
  m.impl("batch_norm_act_backward", &batch_norm_act_backward_cpu);
}

}  // namespace
}  // namespace mcloss
