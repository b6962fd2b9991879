// The inner loops of batch norm + residual + ReLU on the CPU, on plain pointers. The same source
// (batch_norm_act/loops.cpp) is compiled for three kinds of processor; batch_norm_act/cpu.cpp
// picks one.
#pragma once

#include <cstdint>

#include "ops/kernel/padding.h"
#include "ops/kernel/storage.h"

namespace mcloss {

// Values that lie next to each other: rows of all channels (channels_last, one row a position), or
// one row with a sample's values of one channel (contiguous). Below, T is double for Storage::f64,
// else float.
struct BnSpan {
  int64_t rows, width;
  bool per_column;  // a channel a column: `width` channels; else one channel
  bool relu;

  // [rows, width] each, in the storage of x; null where there is none.
  const void* x;
  const void* residual;
  const void* y;     // the result, or null: the ReLU's mask follows from x again
  const void* grad;  // d loss / d y
  void* out;         // y, or d loss / d x
  void* masked;      // grad where the ReLU lets it through

  // T [kBnCoefficients][whole_vectors(channels)], of the first channel. y = (x - pivot) * scale + shift,
  // d loss / d x = grad_scale * masked + x_scale * (x - pivot) + grad_shift.
  const void* coefficients;
  int64_t padded;
};
enum BnCoefficient { kPivot, kScale, kShift, kGradScale, kXScale, kGradShift, kBnCoefficients };

// Count, mean and sum of squared deviations from it, [channels] each.
struct BnMoments {
  int64_t count;
  double *mean, *m2;
};

struct BnPasses {
  // Takes the span's x into the moments. scratch: bn_scratch_bytes, not shared by threads.
  void (*moments)(const BnSpan&, BnMoments&, void* scratch);
  // Writes out = [relu](bn(x) + [residual]).
  void (*normalize)(const BnSpan&);
  // Adds the sums of masked and masked * (x - pivot) to sums[0..], sums[padded..]; writes `masked`
  // unless null.
  void (*sums)(const BnSpan&, double* sums, void* scratch);
  // Writes out = d loss / d x.
  void (*gradient)(const BnSpan&);
};
// By Storage, for each kind of processor.
const BnPasses* bn_passes_plain();
const BnPasses* bn_passes_avx2();
const BnPasses* bn_passes_avx512();

// Rows of coefficients and of sums are a whole number of the widest vectors.
static inline int64_t bn_scratch_bytes(int64_t channels) {
  return 3 * whole_vectors(channels) * static_cast<int64_t>(sizeof(double));
}

// Sums of this many rows are taken in T before they go to doubles.
constexpr int64_t kBnBlockRows = 128;

}  // namespace mcloss
