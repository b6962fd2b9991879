// What follows from the sums, a thread a channel: it merges the chunks in order, in double.
#pragma once

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/sums.cuh"

namespace mcloss {
namespace {

constexpr int kChannelThreads = 128;

__device__ int64_t own_channel() { return blockIdx.x * int64_t{kChannelThreads} + threadIdx.x; }

template <typename T>
struct Statistics {
  const T *weight, *bias;         // or null
  T *running_mean, *running_var;  // or null
  bool training;
  double momentum, eps;
  T* coefficients;
  double* saved;
};

template <typename T>
__global__ void statistics_kernel(Shape shape, Statistics<T> s, const double* partial) {
  const int64_t channel = own_channel(), channels = shape.channels;
  if (channel >= channels) return;
  double mean, var;
  if (s.training) {
    Moments all{0, 0, 0};
    for (int64_t i = 0; i < shape.chunks; ++i) {
      const double* const of_chunk = partial + i * 2 * channels + channel;
      all.merge({static_cast<double>(shape.size_of(i)), of_chunk[0], of_chunk[channels]});
    }
    mean = all.mean;
    var = all.m2 / all.count;
    if (s.running_mean) {
      bn_move_running(s.running_mean[channel], mean, s.momentum);
      bn_move_running(s.running_var[channel], all.m2 / (all.count - 1), s.momentum);
    }
  } else {
    mean = s.running_mean[channel];
    var = s.running_var[channel];
  }
  const BnChannel<T> to{s.coefficients + channel, channels, s.saved + channel, channels};
  to.take_statistics(mean, var, s.eps, s.weight ? s.weight[channel] : T(1),
                     s.bias ? s.bias[channel] : T(0));
}

template <typename T>
__global__ void restore_kernel(int64_t channels, const double* saved, T* coefficients) {
  const int64_t channel = own_channel();
  if (channel >= channels) return;
  BnChannel<T, const double>{coefficients + channel, channels, saved + channel, channels}.restore();
}

template <typename T>
__global__ void grad_sums_kernel(Shape shape, const double* saved, bool training,
                                 const double* partial, T* coefficients, T* grad_weight,
                                 T* grad_bias) {
  const int64_t channel = own_channel(), channels = shape.channels;
  if (channel >= channels) return;
  Sums all{0, 0};
  for (int64_t i = 0; i < shape.chunks; ++i) {
    const double* const of_chunk = partial + i * 2 * channels + channel;
    all.merge({of_chunk[0], of_chunk[channels]});
  }
  const BnChannel<T, const double> to{coefficients + channel, channels, saved + channel, channels};
  to.take_sums(all.sum, all.product, training, shape.count, grad_weight[channel],
               grad_bias[channel]);
}

}  // namespace
}  // namespace mcloss
