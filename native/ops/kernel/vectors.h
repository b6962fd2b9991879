// Small vectors for the CPU kernels, from the compiler's own vector types. A file that includes this
// defines MCLOSS_VECTOR_BYTES (16, 32 or 64) and is compiled for a processor that has such registers.
// Everything here is private to that file, so that code for one processor is never linked into the
// path of another.
#pragma once

#include <cstdint>

namespace mcloss {
namespace {

template <typename Element>
struct VectorOf {
  typedef Element type __attribute__((vector_size(MCLOSS_VECTOR_BYTES)));
};

// A vector of T (float or double) and of integers as wide.
template <typename T>
struct Lanes;
template <>
struct Lanes<float> {
  using Int = int32_t;
  static constexpr int kMantissaBits = 23, kExponentBias = 127;
};
template <>
struct Lanes<double> {
  using Int = int64_t;
  static constexpr int kMantissaBits = 52, kExponentBias = 1023;
};

template <typename T>
using Int = typename Lanes<T>::Int;
template <typename T>
using Vector = typename VectorOf<T>::type;
template <typename T>
constexpr int64_t kLanes = MCLOSS_VECTOR_BYTES / sizeof(T);

template <typename V, typename Element>
inline V load(const Element* from) {
  V value;
  __builtin_memcpy(&value, from, sizeof(V));
  return value;
}

template <typename V, typename Element>
inline void store(Element* to, V value) {
  __builtin_memcpy(to, &value, sizeof(V));
}

template <typename To, typename From>
inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}

// A whole vector, or the first `count` < kLanes of its values.
struct Whole {};
struct Part {
  int64_t count;
};

// step(i, Whole()) for every vector of `width` values, step(i, Part) for what is left.
template <typename T, typename Step>
inline void for_lanes(int64_t width, const Step& step) {
  int64_t i = 0;
  for (; i + kLanes<T> <= width; i += kLanes<T>) step(i, Whole());
  if (i < width) step(i, Part{width - i});
}

// The same value in every lane.
template <typename V, typename Element>
inline V all(Element value) {
  return value - V{};  // + would lose the sign of -0
}

// The lanes Order()(0), Order()(1) .. of a and, from kLanes on, of b.
template <typename T, typename Order>
inline Vector<T> pick(Vector<T> a, Vector<T> b) {
#if __has_builtin(__builtin_shuffle)
  struct Index {
    Int<T> lane[kLanes<T>] = {};
    constexpr Index() {
      for (int i = 0; i < kLanes<T>; ++i) lane[i] = Order()(i);
    }
  };
  constexpr Index index;
  return __builtin_shuffle(a, b, load<Vector<Int<T>>>(index.lane));
#else
  Vector<T> result;
  for (int i = 0; i < kLanes<T>; ++i) {
    const int lane = Order()(i);
    result[i] = lane < kLanes<T> ? a[lane] : b[lane - kLanes<T>];
  }
  return result;
#endif
}

template <int kHalf>
struct Across {
  constexpr int operator()(int i) const { return i ^ kHalf; }
};

// All lanes combined, each half with the other.
template <typename T, int kHalf = kLanes<T> / 2, typename Combine>
inline T fold(Vector<T> values, const Combine& combine) {
  if constexpr (kHalf == 0) {
    return values[0];
  } else {
    const auto combined = combine(values, pick<T, Across<kHalf>>(values, values));
    return fold<T, kHalf / 2>(combined, combine);
  }
}

// a[0] b[0] a[1] b[1] .. of the low halves of a and b, or of the high halves.
template <int kCount, bool kHigh>
struct Interleaved {
  constexpr int operator()(int i) const {
    return (kHigh ? kCount / 2 : 0) + i / 2 + i % 2 * kCount;
  }
};
template <typename T, bool kHigh>
inline Vector<T> interleave(Vector<T> a, Vector<T> b) {
  return pick<T, Interleaved<kLanes<T>, kHigh>>(a, b);
}

// Rows and columns of a square block change places: each round interleaves the rows of the upper half
// with those of the lower half.
template <typename T>
inline void transpose(Vector<T> (&rows)[kLanes<T>]) {
  constexpr int kCount = kLanes<T>;
#pragma GCC unroll 4
  for (int round = kCount; round > 1; round /= 2) {
    Vector<T> next[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount / 2; ++i) {
      next[2 * i] = interleave<T, false>(rows[i], rows[i + kCount / 2]);
      next[2 * i + 1] = interleave<T, true>(rows[i], rows[i + kCount / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) rows[i] = next[i];
  }
}

// Adds up vectors at 0, kLanes .. below count: add(i, lanes) adds those at i to kSums accumulators.
// Blocks are added to totals in double, so that the error does not grow with the count.
template <typename T, int kSums, typename Add>
inline void add_up(int64_t count, double (&totals)[kSums], const Add& add) {
  constexpr int64_t kBlock = 16 * kLanes<T>;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = begin + kBlock < count ? begin + kBlock : count;
    Vector<T> lanes[kSums] = {};
    for (int64_t i = begin; i < end; i += kLanes<T>) add(i, lanes);
    for (int k = 0; k < kSums; ++k) {
      totals[k] += fold<T>(lanes[k], [](auto a, auto b) { return a + b; });
    }
  }
}

constexpr double reciprocal_factorial(int n) { return n < 2 ? 1 : reciprocal_factorial(n - 1) / n; }

// exp(x) for x <= 0, within 2 units in the last place; 0 below the smallest normal number; NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2: exp(x) = 2^n times the Taylor polynomial of exp at r, whose first
// term left out is below half a unit in the last place.
template <typename T>
inline Vector<T> exp_of_nonpositive(Vector<T> x) {
  using V = Vector<T>;
  using IntV = Vector<Int<T>>;
  constexpr bool kDouble = sizeof(T) == 8;
  constexpr int kDegree = kDouble ? 13 : 7;
  constexpr T kLog2E = 1.4426950408889634074, kSmallest = kDouble ? -708.396 : -87.3365;
  // ln 2 in two parts, the first short enough that n times it is exact.
  constexpr T kLn2High = kDouble ? 0x1.62e42feep-1 : 0x1.62ep-1;
  constexpr T kLn2Low = 0.693147180559945309417232121458L - kLn2High;
  // Adding it leaves n, rounded, in the low bits.
  constexpr T kRound = kDouble ? 0x1.8p52 : 0x1.8p23;

  const V shifted = x * kLog2E + kRound;
  const V n = shifted - kRound;
  const V r = (x - n * kLn2High) - n * kLn2Low;
  V polynomial = all<V>(T(reciprocal_factorial(kDegree)));
  for (int k = kDegree - 1; k >= 0; --k) polynomial = polynomial * r + T(reciprocal_factorial(k));
  const IntV exponent = bits_as<IntV>(shifted) - bits_as<IntV>(all<V>(kRound));
  const V power = bits_as<V>((exponent + Lanes<T>::kExponentBias) << Lanes<T>::kMantissaBits);
  return x < kSmallest ? V{} : polynomial * power;
}

}  // namespace
}  // namespace mcloss
