// bfloat16 and float16 as stored, and their conversion from and to vectors of float. Included after
// ops/kernel/vectors.h by the CPU kernels.
#pragma once

#include "ops/kernel/vectors.h"

namespace mcloss {
namespace {

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

using Words = VectorOf<uint32_t>::type;
typedef uint16_t HalfWords __attribute__((vector_size(MCLOSS_VECTOR_BYTES / 2)));

inline Words widen(const uint16_t* from) {
  return __builtin_convertvector(load<HalfWords>(from), Words);
}
inline void narrow(uint16_t* to, Words words) {
  store(to, __builtin_convertvector(words, HalfWords));
}

inline Words select(Vector<int32_t> mask, Words yes, Words no) { return mask ? yes : no; }

// Values of S that load_as and store_as move at once.
template <typename S>
constexpr int64_t kStoredLanes = sizeof(S) == 8 ? kLanes<double> : kLanes<float>;

// kLanes<T> values from memory, as T.
inline Vector<float> load_as(const float* from) { return load<Vector<float>>(from); }
inline Vector<double> load_as(const double* from) { return load<Vector<double>>(from); }
inline Vector<float> load_as(const BFloat16* from) {
  return bits_as<Vector<float>>(widen(&from->bits) << 16);
}
inline Vector<float> load_as(const Float16* from) {
  const Words half = widen(&from->bits);
  const Words magnitude = (half & 0x7fff) << 13, sign = (half & 0x8000) << 16;
  // The exponent's bias is 112 less than a float's; this also scales subnormal numbers rightly.
  const Words finite = bits_as<Words>(bits_as<Vector<float>>(magnitude) * 0x1p112f);
  const Words value = select(magnitude >= 0x0f800000u, magnitude | 0x7f800000u, finite);
  return bits_as<Vector<float>>(value | sign);
}

// kLanes<T> values to memory, rounded to nearest, ties to even.
inline void store_as(float* to, Vector<float> values) { store(to, values); }
inline void store_as(double* to, Vector<double> values) { store(to, values); }
inline void store_as(BFloat16* to, Vector<float> values) {
  const Words word = bits_as<Words>(values);
  const Words rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
  narrow(&to->bits, select((word & 0x7fffffff) > 0x7f800000u, all<Words>(0x7fc0u), rounded));
}
inline void store_as(Float16* to, Vector<float> values) {
  const Words word = bits_as<Words>(values), sign = (word >> 16) & 0x8000;
  const Words magnitude = word & 0x7fffffff;
  const Words rounded = ((magnitude + 0xfff + ((magnitude >> 13) & 1)) >> 13) - (112 << 10);
  // Below 2^-14 float16 counts in steps of 2^-24, which is the step of floats around 0.5.
  const Words small = bits_as<Words>(bits_as<Vector<float>>(magnitude) + 0.5f) - 0x3f000000;
  Words half = select(magnitude < 0x38800000u, small, rounded);
  half = select(magnitude >= 0x477ff000u, all<Words>(0x7c00u), half);  // 65520 and above: infinity
  half = select(magnitude > 0x7f800000u, all<Words>(0x7e00u), half);
  narrow(&to->bits, half | sign);
}

// A whole vector, or its first values; the rest are 0.
template <typename S>
inline auto load_at(const S* from, Whole) {
  return load_as(from);
}
template <typename S>
inline auto load_at(const S* from, Part part) {
  S values[kStoredLanes<S>] = {};
  for (int64_t i = 0; i < part.count; ++i) values[i] = from[i];
  return load_as(values);
}
template <typename S, typename V>
inline void store_at(S* to, V value, Whole) {
  store_as(to, value);
}
template <typename S, typename V>
inline void store_at(S* to, V value, Part part) {
  S values[kStoredLanes<S>];
  store_as(values, value);
  for (int64_t i = 0; i < part.count; ++i) to[i] = values[i];
}

// One value.
template <typename T, typename S>
inline T load_one(const S* from) {
  S values[kLanes<T>] = {*from};
  return load_as(values)[0];
}
template <typename S, typename T>
inline void store_one(S* to, T value) {
  S values[kLanes<T>];
  store_as(values, all<Vector<T>>(value));
  *to = values[0];
}

}  // namespace
}  // namespace mcloss
