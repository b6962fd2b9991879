// batch_norm_act on the CPU: tensors to plain arrays, threads, and the statistics of a channel. The
// loops over the values: batch_norm_act/loops.cpp.
//
// channels_last: fixed chunks of rows, each with all channels; their sums are merged in order.
// contiguous: a channel at a time. Neither depends on the number of threads, and so no result does.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <vector>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"
#include "ops/batch_norm_act/parts.h"
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

void moments_by_rows(const Values& values, const BnPasses& pass, double* sums) {
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
      const BnMomentsOfOne all{static_cast<double>(chunks.rows), mean[c - begin], m2[c - begin]};
      all.write(sums, c, channels);
    }
  });
}

BnMomentsOfOne moments_of_channel(const Values& values, const BnPasses& pass, int64_t channel) {
  double mean = 0, m2 = 0;
  BnMoments moments{0, &mean, &m2};
  for (int64_t n = 0; n < values.layout.samples; ++n) {
    pass.moments(values.plane(n, channel), moments, nullptr);
  }
  return {static_cast<double>(moments.count), mean, m2};
}

template <typename T>
void forward(const BnForward& call, Values& values, const BnPasses& pass) {
  const auto& layout = values.layout;
  Coefficients<T> coefficients(layout.channels);
  values.whole.coefficients = coefficients.values.data();
  const bool gives_y = call.y.defined();
  const auto statistics = gives_y ? bn_statistics<T>(call) : BnStatisticsOfAll<T>{};
  const auto take = [&](int64_t c) {
    const auto of_channel = statistics.of(c);
    statistics.keep(of_channel, c);
    coefficients.channel(c).take(of_channel);
  };
  double* const sums = call.takes_sums ? call.sums.data_ptr<double>() : nullptr;
  if (layout.by_rows) {
    if (sums) moments_by_rows(values, pass, sums);
    if (!gives_y) return;
    for (int64_t c = 0; c < layout.channels; ++c) take(c);
    for_chunks(values, true, [&](int64_t, const BnSpan& span, void*) { pass.normalize(span); });
    return;
  }
  // The second pass over a channel finds it in the cache.
  at::parallel_for(0, layout.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      if (sums) moments_of_channel(values, pass, c).write(sums, c, layout.channels);
      if (!gives_y) continue;
      take(c);
      for (int64_t n = layout.samples - 1; n >= 0; --n) pass.normalize(values.plane(n, c));
    }
  });
}

// ---- backward ----

// Rows by rows: double [2, C], padded.
std::vector<double> sums_by_rows(const Values& values, const BnPasses& pass) {
  const Chunks chunks(values.layout);
  const int64_t channels = values.layout.channels, padded = whole_vectors(channels);
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
  });
  return sums;
}

template <typename T>
void backward(const BnBackward& call, Values& values, const BnPasses& pass) {
  const BnLayout& layout = values.layout;
  const int64_t channels = layout.channels, padded = whole_vectors(channels);
  Coefficients<T> coefficients(channels);
  values.whole.coefficients = coefficients.values.data();
  const double* const saved = call.saved.const_data_ptr<double>();
  const auto statistics = [&](int64_t c) { return BnStatistics<T>::read(saved, c, channels); };
  for (int64_t c = 0; c < channels; ++c) coefficients.channel(c).take(statistics(c));
  const auto keep = [&](int64_t c, double sum, double product) {
    const BnGradSumsOfOne all{static_cast<double>(layout.count()), sum, product};
    all.write(call.sums.data_ptr<double>(), c, channels);
    call.grad_weight.data_ptr<T>()[c] = static_cast<T>(statistics(c).weighted(all));
    call.grad_bias.data_ptr<T>()[c] = static_cast<T>(sum);
  };
  const double* const sums = call.sums.const_data_ptr<double>();
  const bool gives_grad_x = call.grad_x.defined();
  const auto take = [&](int64_t c) {
    const auto all = BnGradSumsOfOne::read(sums, c, channels);
    coefficients.channel(c).take_sums(statistics(c), all, call.training);
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
    if (call.takes_sums) {
      const std::vector<double> all = sums_by_rows(values, pass);
      for (int64_t c = 0; c < channels; ++c) keep(c, all[c], all[padded + c]);
    }
    if (!gives_grad_x) return;
    for (int64_t c = 0; c < channels; ++c) take(c);
    for_chunks(values, true, [&](int64_t, const BnSpan& span, void*) { gradient(span); });
    return;
  }
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> of_channel(padded + 1);
    for (int64_t c = begin; c < end; ++c) {
      if (call.takes_sums) {
        of_channel[0] = of_channel[padded] = 0;
        for (int64_t n = 0; n < layout.samples; ++n) {
          pass.sums(values.plane(n, c), of_channel.data(), nullptr);
        }
        keep(c, of_channel[0], of_channel[padded]);
      }
      if (!gives_grad_x) continue;
      take(c);
      for (int64_t n = layout.samples - 1; n >= 0; --n) gradient(values.plane(n, c));
    }
  });
}

struct Cpu {
  static void forward(const BnForward& call) {
    const Tensor& x = call.arguments.x;
    AT_DISPATCH_FLOATING_TYPES(accumulate_type(x.scalar_type()), "batch_norm_act", [&] {
      Values values(x, call.arguments.relu, nullptr);
      if (call.arguments.residual)
        values.whole.residual = call.arguments.residual->const_data_ptr();
      if (call.y.defined()) values.whole.out = call.y.data_ptr();
      mcloss::forward<scalar_t>(call, values, passes(x.scalar_type()));
    });
  }
  static void backward(const BnBackward& call) {
    const Tensor& x = call.x;
    AT_DISPATCH_FLOATING_TYPES(accumulate_type(x.scalar_type()), "batch_norm_act_backward", [&] {
      Values values(x, call.relu, nullptr);
      values.whole.grad = call.grad.const_data_ptr();
      if (call.y) values.whole.y = call.y->const_data_ptr();
      if (call.grad_x.defined()) values.whole.out = call.grad_x.data_ptr();
      if (call.masked.defined()) values.whole.masked = call.masked.data_ptr();
      mcloss::backward<scalar_t>(call, values, passes(x.scalar_type()));
    });
  }
};

TORCH_LIBRARY_IMPL(mcloss, CPU, m) { bn_register<Cpu>(m); }

}  // namespace
}  // namespace mcloss
