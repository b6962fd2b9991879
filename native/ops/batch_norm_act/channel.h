// The arithmetic of one channel of batch_norm_act, for the CPU and the GPU: from its statistics, and
// from the sums over its gradients, to the coefficients of the passes over its values.
#pragma once

#include <cmath>

#include "ops/batch_norm_act/checks.h"
#include "ops/batch_norm_act/loops.h"
#include "ops/kernel/host_device.h"

namespace mcloss {

template <typename T>
MCLOSS_HOST_DEVICE inline void bn_move_running(T& running, double towards, double momentum) {
  running = static_cast<T>((1 - momentum) * running + momentum * towards);
}

// The coefficients of a channel, `step` apart, and what is saved of it, `channels` apart.
template <typename T, typename Saved = double>
struct BnChannel {
  T* coefficients;
  int64_t step;
  Saved* saved;
  int64_t channels;

  MCLOSS_HOST_DEVICE T& at(BnCoefficient which) const { return coefficients[which * step]; }
  MCLOSS_HOST_DEVICE Saved& at(BnSaved which) const { return saved[which * channels]; }

  MCLOSS_HOST_DEVICE void take_statistics(double mean, double var, double eps, T weight,
                                          T bias) const {
    const double inv_std = 1 / sqrt(var + eps);
    const T pivot = static_cast<T>(mean);
    const T scale = static_cast<T>(weight * inv_std);
    const T shift = static_cast<T>(bias - (mean - pivot) * scale);
    at(kPivot) = pivot;
    at(kScale) = scale;
    at(kShift) = shift;
    at(kSavedMean) = mean;
    at(kSavedInvStd) = inv_std;
    at(kSavedScale) = scale;
    at(kSavedShift) = shift;
  }

  // The coefficients of the forward pass again.
  MCLOSS_HOST_DEVICE void restore() const {
    at(kPivot) = static_cast<T>(at(kSavedMean));
    at(kScale) = static_cast<T>(at(kSavedScale));
    at(kShift) = static_cast<T>(at(kSavedShift));
  }

  // sum: of the gradients g of `count` values; product: of g * (x - pivot).
  MCLOSS_HOST_DEVICE void take_sums(double sum, double product, bool training, int64_t count,
                                    T& grad_weight, T& grad_bias) const {
    const double inv_std = at(kSavedInvStd), scale = at(kSavedScale);
    const double rest = at(kSavedMean) - at(kPivot);
    const double weighted = (product - rest * sum) * inv_std;  // of g * xhat
    grad_weight = static_cast<T>(weighted);
    grad_bias = static_cast<T>(sum);
    const auto n = static_cast<double>(count);
    const double x_scale = training ? -scale * inv_std * weighted / n : 0;
    const double grad_shift = training ? -scale * sum / n - x_scale * rest : 0;
    at(kGradScale) = static_cast<T>(scale);
    at(kXScale) = static_cast<T>(x_scale);
    at(kGradShift) = static_cast<T>(grad_shift);
  }
};

}  // namespace mcloss
