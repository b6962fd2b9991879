// The arithmetic of one channel of batch_norm_act, for the CPU and the GPU: from its statistics, and
// from the sums over its gradients, to the coefficients of the passes over its values.
#pragma once

#include <cmath>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"
#include "ops/kernel/host_device.h"

namespace mcloss {

// A channel of the tensors double [3, C] that batch_norm_act.h describes.
struct BnMomentsOfOne {
  double count, mean, m2;

  static MCLOSS_HOST_DEVICE BnMomentsOfOne read(const double* sums, int64_t c, int64_t channels) {
    return {sums[c], sums[channels + c], sums[2 * channels + c]};
  }
  MCLOSS_HOST_DEVICE void write(double* sums, int64_t c, int64_t channels) const {
    sums[c] = count;
    sums[channels + c] = mean;
    sums[2 * channels + c] = m2;
  }
};

// sum: of the gradients g of `count` values; product: of g * (x - pivot).
struct BnGradSumsOfOne {
  double count, sum, product;

  static MCLOSS_HOST_DEVICE BnGradSumsOfOne read(const double* sums, int64_t c, int64_t channels) {
    return {sums[c], sums[channels + c], sums[2 * channels + c]};
  }
  MCLOSS_HOST_DEVICE void write(double* sums, int64_t c, int64_t channels) const {
    sums[c] = count;
    sums[channels + c] = sum;
    sums[2 * channels + c] = product;
  }
};

// A channel of `saved` (checks.h).
template <typename T>
struct BnStatistics {
  double mean, inv_std, scale, shift;

  static MCLOSS_HOST_DEVICE BnStatistics make(double mean, double var, double eps, T weight,
                                              T bias) {
    const double inv_std = 1 / sqrt(var + eps);
    const T scale = static_cast<T>(weight * inv_std);
    return {mean, inv_std, scale, static_cast<T>(bias - (mean - static_cast<T>(mean)) * scale)};
  }
  static MCLOSS_HOST_DEVICE BnStatistics read(const double* saved, int64_t c, int64_t channels) {
    return {saved[kSavedMean * channels + c], saved[kSavedInvStd * channels + c],
            saved[kSavedScale * channels + c], saved[kSavedShift * channels + c]};
  }
  MCLOSS_HOST_DEVICE void write(double* saved, int64_t c, int64_t channels) const {
    saved[kSavedMean * channels + c] = mean;
    saved[kSavedInvStd * channels + c] = inv_std;
    saved[kSavedScale * channels + c] = scale;
    saved[kSavedShift * channels + c] = shift;
  }

  MCLOSS_HOST_DEVICE T pivot() const { return static_cast<T>(mean); }
  // The sum of g * xhat.
  MCLOSS_HOST_DEVICE double weighted(const BnGradSumsOfOne& sums) const {
    return (sums.product - (mean - pivot()) * sums.sum) * inv_std;
  }
};

template <typename T>
MCLOSS_HOST_DEVICE inline void bn_move_running(T& running, double towards, double momentum) {
  running = static_cast<T>((1 - momentum) * running + momentum * towards);
}

// Where the statistics of the channels come from and go to.
template <typename T>
struct BnStatisticsOfAll {
  int64_t channels;
  const double* sums;             // or null: the running statistics
  const T *weight, *bias;         // or null
  T *running_mean, *running_var;  // or null
  double momentum, eps;
  double* saved;

  MCLOSS_HOST_DEVICE BnStatistics<T> of(int64_t c) const {
    const T one = weight ? weight[c] : T(1), zero = bias ? bias[c] : T(0);
    if (!sums) return BnStatistics<T>::make(running_mean[c], running_var[c], eps, one, zero);
    const auto all = BnMomentsOfOne::read(sums, c, channels);
    return BnStatistics<T>::make(all.mean, all.m2 / all.count, eps, one, zero);
  }
  // Once per channel.
  MCLOSS_HOST_DEVICE void keep(const BnStatistics<T>& statistics, int64_t c) const {
    statistics.write(saved, c, channels);
    if (!sums || !running_mean) return;
    const auto all = BnMomentsOfOne::read(sums, c, channels);
    bn_move_running(running_mean[c], all.mean, momentum);
    bn_move_running(running_var[c], all.m2 / (all.count - 1), momentum);
  }
};

// The coefficients of a channel, `step` apart.
template <typename T>
struct BnChannel {
  T* coefficients;
  int64_t step;

  MCLOSS_HOST_DEVICE T& at(BnCoefficient which) const { return coefficients[which * step]; }

  MCLOSS_HOST_DEVICE void take(const BnStatistics<T>& statistics) const {
    at(kPivot) = statistics.pivot();
    at(kScale) = static_cast<T>(statistics.scale);
    at(kShift) = static_cast<T>(statistics.shift);
  }

  // training: the mean and the variance depend on x.
  MCLOSS_HOST_DEVICE void take_sums(const BnStatistics<T>& statistics, const BnGradSumsOfOne& sums,
                                    bool training) const {
    const double scale = statistics.scale, rest = statistics.mean - statistics.pivot();
    const double x_scale =
        training ? -scale * statistics.inv_std * statistics.weighted(sums) / sums.count : 0;
    const double grad_shift = training ? -scale * sums.sum / sums.count - x_scale * rest : 0;
    at(kGradScale) = static_cast<T>(scale);
    at(kXScale) = static_cast<T>(x_scale);
    at(kGradShift) = static_cast<T>(grad_shift);
  }
};

}  // namespace mcloss
