// batch_norm_act on the CPU: tensors to plain arrays, threads, and the statistics of a channel. The
// loops over the values: batch_norm_act/loops.cpp.
//
// channels_last: fixed chunks of rows, each with all channels; their sums are merged in order.
// contiguous: a channel at a time. Neither depends on the number of threads, and so no result does.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <vector>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"
#include "ops/batch_norm_act/spans.h"
#include "ops/kernel/processor.h"

namespace mcloss {
namespace {

using at::Tensor;

const BnPasses& passes(at::ScalarType dtype) {
  static const BnPasses* const all = form_for_processor(at::get_cpu_capability(), bn_passes_plain,
                                                        bn_passes_avx2, bn_passes_avx512)();
  return all[static_cast<int>(storage_of(dtype))];
}

// ---- forward ----

template <typename T>
T value_or(const MaybeTensor& tensor, int64_t channel, T otherwise) {
  return tensor ? tensor->const_data_ptr<T>()[channel * tensor->stride(0)] : otherwise;
}

template <typename T>
void take_statistics(const BnArguments& arguments, int64_t channel, double mean, double var,
                     Coefficients<T>& coefficients, const Tensor& saved) {
  const auto to = coefficients.channel(channel, saved.data_ptr<double>(), saved.size(1));
  to.take_statistics(mean, var, arguments.eps, value_or<T>(arguments.weight, channel, 1),
                     value_or<T>(arguments.bias, channel, 0));
}

template <typename T>
void move_running(const MaybeTensor& running, int64_t channel, double towards, double momentum) {
  if (running) bn_move_running(running->mutable_data_ptr<T>()[channel], towards, momentum);
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

template <typename T>
void backward(const Tensor& saved, bool training, Values& values, const BnPasses& pass,
              const Tensor& grad_weight, const Tensor& grad_bias) {
  const BnLayout& layout = values.layout;
  const int64_t channels = layout.channels, padded = whole_vectors(channels);
  Coefficients<T> coefficients(channels);
  values.whole.coefficients = coefficients.values.data();
  const double* const from = saved.const_data_ptr<double>();
  for (int64_t c = 0; c < channels; ++c) coefficients.channel(c, from, channels).restore();
  T* const to_weight = grad_weight.data_ptr<T>();
  T* const to_bias = grad_bias.data_ptr<T>();
  const auto take = [&](int64_t c, double sum, double product) {
    coefficients.channel(c, from, channels)
        .take_sums(sum, product, training, layout.count(), to_weight[c], to_bias[c]);
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
