// The arithmetic of the CPU kernels, compiled for the plain processor: exp against the C library's,
// the half types against c10's, over all their bit patterns, and the transposition of a block.
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "cases.h"
#include "check.h"

#define MCLOSS_VECTOR_BYTES 16
#include "ops/kernel/half_types.h"

namespace test {
namespace {

using namespace mcloss;

bool same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : bits_as<uint32_t>(a) == bits_as<uint32_t>(b);
}

// Stored: ours; Standard: c10's type with the same bits.
template <typename Stored, typename Standard>
void half(const std::string& name) {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const Stored stored{static_cast<uint16_t>(bits)};
    const Standard standard(static_cast<uint16_t>(bits), Standard::from_bits());
    wrong += !same(load_one<float>(&stored), static_cast<float>(standard));
  }
  check(wrong == 0, name + " to float: " + std::to_string(wrong) + " of 65536 values differ");

  const auto rounds_alike = [](float value) {
    Stored stored;
    store_one(&stored, value);
    const Standard standard(value);
    return std::isnan(value) ? std::isnan(load_one<float>(&stored)) : stored.bits == standard.x;
  };
  wrong = 0;
  std::mt19937 random(16);
  for (uint32_t high = 0; high < 65536; ++high) {
    // Just below, at and just above each half-way point of both types, and anything.
    for (const uint32_t low :
         {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu, static_cast<uint32_t>(random() & 0xffff)}) {
      wrong += !rounds_alike(bits_as<float>(high << 16 | low));
    }
  }
  for (uint32_t word = 0; word < 1u << 19; ++word) {  // and of float16, at bit 12
    for (const uint32_t low : {0xfffu, 0x1000u, 0x1001u}) {
      wrong += !rounds_alike(bits_as<float>(word << 13 | low));
    }
  }
  check(wrong == 0, "float to " + name + ": " + std::to_string(wrong) + " values round otherwise");
}

// Within 2 units in the last place of the C library's exp in long double.
template <typename T>
void exponential(const std::string& name, T smallest) {
  std::mt19937_64 random(5);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const T x = static_cast<T>(smallest * static_cast<double>(random() >> 11) * 0x1p-53);
    const long double exact = std::exp(static_cast<long double>(x));
    const T actual = exp_of_nonpositive<T>(all<Vector<T>>(x))[1];
    const T unit = std::nextafter(static_cast<T>(exact), T(2)) - static_cast<T>(exact);
    worst = std::max(worst, static_cast<double>(std::abs(actual - exact) / unit));
  }
  check(worst <= 2, "exp of " + name + ": " + std::to_string(worst) + " units in the last place");
  const auto of = [](T x) { return exp_of_nonpositive<T>(all<Vector<T>>(x))[0]; };
  check(of(0) == 1, "exp(0) = 1");
  check(of(2 * smallest) == 0, "exp below the normal numbers is 0");
  check(of(-std::numeric_limits<T>::infinity()) == 0, "exp(-infinity) = 0");
  check(std::isnan(of(std::numeric_limits<T>::quiet_NaN())), "exp(NaN) = NaN");
}

template <typename T>
void transposition(const std::string& name) {
  Vector<T> rows[kLanes<T>];
  for (int i = 0; i < kLanes<T>; ++i) {
    for (int j = 0; j < kLanes<T>; ++j) rows[i][j] = static_cast<T>(10 * i + j);
  }
  transpose<T>(rows);
  bool right = true;
  for (int i = 0; i < kLanes<T>; ++i) {
    for (int j = 0; j < kLanes<T>; ++j) right = right && rows[i][j] == static_cast<T>(10 * j + i);
  }
  check(right, "transpose of " + name);
}

}  // namespace

void vectors() {
  test_case("vectors: bfloat16", [] { half<mcloss::BFloat16, c10::BFloat16>("bfloat16"); });
  test_case("vectors: float16", [] { half<mcloss::Float16, c10::Half>("float16"); });
  test_case("vectors: exp of float", [] { exponential<float>("float", -87.3365f); });
  test_case("vectors: exp of double", [] { exponential<double>("double", -708.396); });
  test_case("vectors: transpose of float", [] { transposition<float>("float"); });
  test_case("vectors: transpose of double", [] { transposition<double>("double"); });
}

}  // namespace test
