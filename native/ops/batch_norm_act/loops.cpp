// The loops of batch_norm_act/loops.h, for one kind of processor: the readable statement of the
// mathematics. R values a channel, g = grad where the ReLU lets it through (y > 0 as stored; NaN
// passes, as in LibTorch):
//
//   mean = sum x / R, var = sum (x - mean)^2 / R, xhat = (x - mean) / sqrt(var + eps)
//   y = relu(weight * xhat + bias + residual)
//   d loss / d x = weight / sqrt(var + eps) * (g - sum g / R - xhat * sum (g * xhat) / R)
//
// mean = pivot + rest, both T: x - pivot is exact or nearly so where the mean is many standard
// deviations, and the rest is part of `shift`. Sums are taken of x - (mean of 8 of the block's
// rows) over blocks of kBnBlockRows, and merged as moments in double: so no sum cancels.
// With u = 2^-24, float32 and values within z standard deviations of the mean m, sd = sqrt(var):
//   |mean - exact| <= 20 u * z * sd, |var / exact - 1| <= 40 u * z, whatever m / sd is;
//   |y - exact| <= 70 u * z * |weight| + u * |y|; hardly a tenth of it in practice.
// test/native/ops/batch_norm_act/differential.cpp holds the results against float64.

#include "ops/batch_norm_act/loops.h"
#include "ops/batch_norm_act/moments.h"
#include "ops/kernel/half_types.h"
#include "ops/kernel/isa.h"
#include "ops/kernel/vectors.h"

namespace mcloss {
namespace {

// One coefficient: of each column, or of the one channel.
template <typename T, bool kPerColumn>
struct Coefficient {
  Coefficient(const BnSpan& span, BnCoefficient which)
      : values(static_cast<const T*>(span.coefficients) + which * span.padded),
        one(all<Vector<T>>(*values)) {}
  Vector<T> at(int64_t i) const {
    if constexpr (kPerColumn) return load<Vector<T>>(values + i);
    return one;
  }
  const T* values;
  Vector<T> one;
};

// The largest value that is stored as 0: the ReLU's gradient belongs to y as stored.
template <typename S>
constexpr float kStoredAsZero = 0;
template <>
constexpr float kStoredAsZero<Float16> = 0x1p-25f;
template <>
constexpr float kStoredAsZero<BFloat16> = 0x1p-134f;

enum class Mask { none, from_x, from_y };

inline Mask mask_of(const BnSpan& span) {
  if (!span.relu) return Mask::none;
  return span.y ? Mask::from_y : Mask::from_x;
}

// g at one place: the gradient where the ReLU lets it through.
template <Mask kMask, typename S, typename V, typename Lane>
inline V masked_gradient(const S* grad, const S* y, V from_pivot, V scale, V shift, Lane lane) {
  const V value = load_at(grad, lane);
  if constexpr (kMask == Mask::none) return value;
  if constexpr (kMask == Mask::from_y) return load_at(y, lane) <= 0 ? V{} : value;
  return from_pivot * scale + shift <= kStoredAsZero<S> ? V{} : value;  // as normalize() has it
}

// ---- the result ----

template <typename S, typename T, bool kPerColumn, bool kResidual>
void normalize(const BnSpan& span) {
  using V = Vector<T>;
  const Coefficient<T, kPerColumn> pivot(span, kPivot), scale(span, kScale), shift(span, kShift);
  const T smallest = span.relu ? T(0) : -T(__builtin_inff());
  for (int64_t row = 0; row < span.rows; ++row) {
    const S* const x = static_cast<const S*>(span.x) + row * span.width;
    const S* const residual =
        kResidual ? static_cast<const S*>(span.residual) + row * span.width : nullptr;
    S* const out = static_cast<S*>(span.out) + row * span.width;
    for_lanes<T>(span.width, [&](int64_t i, auto lane) {
      V value = (load_at(x + i, lane) - pivot.at(i)) * scale.at(i) + shift.at(i);
      if constexpr (kResidual) value += load_at(residual + i, lane);
      store_at(out + i, value < smallest ? all<V>(smallest) : value, lane);
    });
  }
}

template <typename S, typename T>
void normalize_of(const BnSpan& span) {
  const auto pass =
      span.per_column ? span.residual ? &normalize<S, T, true, true> : &normalize<S, T, true, false>
      : span.residual ? &normalize<S, T, false, true>
                      : &normalize<S, T, false, false>;
  pass(span);
}

// ---- the gradient ----

template <typename S, typename T, Mask kMask, bool kWrite>
void sums_of_columns(const BnSpan& span, double* totals, void* scratch) {
  using V = Vector<T>;
  constexpr int kParts = kMask == Mask::from_y ? 2 : 8;  // more streams than a prefetcher follows
  const int64_t width = span.width;
  const Coefficient<T, true> pivots(span, kPivot), scales(span, kScale), shifts(span, kShift);
  T* const sums = static_cast<T*>(scratch);
  T* const products = sums + whole_vectors(width);
  for (int64_t begin = 0; begin < span.rows; begin += kBnBlockRows) {
    const int64_t rows = begin + kBnBlockRows < span.rows ? kBnBlockRows : span.rows - begin;
    for_rows<kParts>(rows, [&](int64_t row, auto group, int64_t apart, bool first) {
      const int64_t from = (begin + row) * width;
      const S* const x = static_cast<const S*>(span.x) + from;
      const S* const grad = static_cast<const S*>(span.grad) + from;
      const S* const y = kMask == Mask::from_y ? static_cast<const S*>(span.y) + from : nullptr;
      S* const masked = kWrite ? static_cast<S*>(span.masked) + from : nullptr;
      for_lanes<T>(width, [&](int64_t i, auto lane) {
        const V pivot = pivots.at(i), scale = scales.at(i), shift = shifts.at(i);
        V sum{}, product{};
#pragma GCC unroll 8
        for (int r = 0; r < decltype(group)::value; ++r) {
          const int64_t at = r * apart * width + i;
          const V off = load_at(x + at, lane) - pivot;
          const V g = masked_gradient<kMask>(grad + at, y + at, off, scale, shift, lane);
          if constexpr (kWrite) store_at(masked + at, g, lane);
          sum += g;
          product += g * off;
        }
        store(sums + i, first ? sum : load<V>(sums + i) + sum);
        store(products + i, first ? product : load<V>(products + i) + product);
      });
    });
    for (int64_t c = 0; c < width; ++c) totals[c] += sums[c];
    for (int64_t c = 0; c < width; ++c) totals[span.padded + c] += products[c];
  }
}

template <typename S, typename T, Mask kMask, bool kWrite>
void sums_of_channel(const BnSpan& span, double* totals, void*) {
  using V = Vector<T>;
  const Coefficient<T, false> pivots(span, kPivot), scales(span, kScale), shifts(span, kShift);
  const V pivot = pivots.one, scale = scales.one, shift = shifts.one;
  const S* const x = static_cast<const S*>(span.x);
  const S* const grad = static_cast<const S*>(span.grad);
  const S* const y = static_cast<const S*>(span.y);
  S* const masked = static_cast<S*>(span.masked);
  const auto add = [&](int64_t i, V(&lanes)[2], auto lane) {
    const V off = load_at(x + i, lane) - pivot;
    const V g = masked_gradient<kMask>(grad + i, y + i, off, scale, shift, lane);
    if constexpr (kWrite) store_at(masked + i, g, lane);
    lanes[0] += g;
    lanes[1] += g * off;
  };
  const int64_t whole = span.width / kLanes<T> * kLanes<T>;
  double sums[2] = {};
  add_up<T>(whole, sums, [&](int64_t i, auto& lanes) { add(i, lanes, Whole()); });
  if (whole < span.width) {
    V lanes[2] = {};
    add(whole, lanes, Part{span.width - whole});
    for (int k = 0; k < 2; ++k) sums[k] += fold<T>(lanes[k], [](auto a, auto b) { return a + b; });
  }
  totals[0] += sums[0];
  totals[span.padded] += sums[1];
}

template <typename S, typename T, Mask kMask, bool kWrite>
void sums(const BnSpan& span, double* totals, void* scratch) {
  const auto pass = span.per_column ? &sums_of_columns<S, T, kMask, kWrite>
                                    : &sums_of_channel<S, T, kMask, kWrite>;
  pass(span, totals, scratch);
}

template <typename S, typename T>
void sums_of(const BnSpan& span, double* totals, void* scratch) {
  switch (mask_of(span)) {
    case Mask::none: return sums<S, T, Mask::none, false>(span, totals, scratch);
    case Mask::from_x: return sums<S, T, Mask::from_x, false>(span, totals, scratch);
    case Mask::from_y:
      return span.masked ? sums<S, T, Mask::from_y, true>(span, totals, scratch)
                         : sums<S, T, Mask::from_y, false>(span, totals, scratch);
  }
}

template <typename S, typename T, bool kPerColumn, Mask kMask>
void gradient(const BnSpan& span) {
  using V = Vector<T>;
  const auto coefficient = [&](BnCoefficient which) {
    return Coefficient<T, kPerColumn>(span, which);
  };
  const auto pivot = coefficient(kPivot), scale = coefficient(kScale), shift = coefficient(kShift);
  const auto grad_scale = coefficient(kGradScale), x_scale = coefficient(kXScale);
  const auto grad_shift = coefficient(kGradShift);
  for (int64_t row = 0; row < span.rows; ++row) {
    const int64_t from = row * span.width;
    const S* const x = static_cast<const S*>(span.x) + from;
    const S* const grad = static_cast<const S*>(span.grad) + from;
    const S* const y = kMask == Mask::from_y ? static_cast<const S*>(span.y) + from : nullptr;
    S* const out = static_cast<S*>(span.out) + from;
    for_lanes<T>(span.width, [&](int64_t i, auto lane) {
      const V off = load_at(x + i, lane) - pivot.at(i);
      const V g = masked_gradient<kMask>(grad + i, y + i, off, scale.at(i), shift.at(i), lane);
      store_at(out + i, g * grad_scale.at(i) + (off * x_scale.at(i) + grad_shift.at(i)), lane);
    });
  }
}

template <typename S, typename T, Mask kMask>
void gradient_masked(const BnSpan& span) {
  const auto pass = span.per_column ? &gradient<S, T, true, kMask> : &gradient<S, T, false, kMask>;
  pass(span);
}

template <typename S, typename T>
void gradient_of(const BnSpan& span) {
  switch (mask_of(span)) {
    case Mask::none: return gradient_masked<S, T, Mask::none>(span);
    case Mask::from_x: return gradient_masked<S, T, Mask::from_x>(span);
    case Mask::from_y: return gradient_masked<S, T, Mask::from_y>(span);
  }
}

template <typename S, typename T>
constexpr BnPasses kPassesOf = {&moments_of<S, T>, &normalize_of<S, T>, &sums_of<S, T>,
                                &gradient_of<S, T>};
constexpr BnPasses kBnPasses[] = {kPassesOf<double, double>, kPassesOf<float, float>,
                                  kPassesOf<BFloat16, float>, kPassesOf<Float16, float>};

}  // namespace

const BnPasses* MCLOSS_FOR_ISA(bn_passes)() { return kBnPasses; }

}  // namespace mcloss
