// The whole test framework of the C++ programs: cases, each a function with a name, and the checks in
// them, which print one line where they fail.
#pragma once

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <vector>

#include "types.h"

namespace test {

struct Count {
  int passed = 0, failed = 0;             // cases
  int64_t checks = 0, failed_checks = 0;  // values compared
};
inline Count count;

// Less for CUDA kernels on the CPU or under a sanitizer: the largest shape, in values, that cases of many
// shapes take, and how many of their random cases run, one of `one_in`.
inline int64_t most_values = std::numeric_limits<int64_t>::max();
inline int one_in = 1;

inline bool is_soak() {
  const char* const soak = std::getenv("MCLOSS_SOAK");
  return soak && std::string(soak) == "1";
}

inline void small_shapes(int share) {
  most_values = is_soak() ? 20'000 : 600;
  one_in = is_soak() ? 1 : share;
}

// The CPU, and the GPU where LibTorch sees one; or that GPU alone.
inline bool gpu_alone = false;
inline std::vector<at::DeviceType> devices() {
  if (gpu_alone) return {at::kCUDA};
  if (at::hasCUDA()) return {at::kCPU, at::kCUDA};
  return {at::kCPU};
}

inline bool check(bool ok, const std::string& what) {
  ++count.checks;
  if (!ok) {
    ++count.failed_checks;
    std::printf("FAILED %s\n", what.c_str());
  }
  return ok;
}

// Passes if it makes a check, all its checks hold and it ends without an exception. What a case draws
// from LibTorch is the same in each run, whichever cases run before it.
template <typename Body>
void test_case(const std::string& name, const Body& body) {
  const Count before = count;
  at::manual_seed(1);
  try {
    body();
    if (count.checks == before.checks) check(false, name + ": nothing was checked");
  } catch (const std::exception& error) {
    check(false, name + ": ended by an exception: " + error.what());
  }
  const bool ok = count.failed_checks == before.failed_checks;
  ++(ok ? count.passed : count.failed);
  if (!ok) std::printf("FAILED case %s\n", name.c_str());
}

// max |actual - expected| <= tolerance * scale; scale 0 means max |expected|. NaN never passes.
inline bool check_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                        const std::string& what, double scale = 0) {
  if (!check(actual.sizes() == expected.sizes(), what + ": shape")) return false;
  if (scale == 0) scale = expected.abs().max().item<double>();
  if (scale == 0) scale = 1;
  const double worst =
      (actual.to(at::kCPU, at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  return check(worst <= tolerance * scale,
               what + ": differs by " + std::to_string(worst / scale * 1e6) + "e-6, allowed " +
                   std::to_string(tolerance * 1e6) + "e-6");
}

// `call` throws mcloss::Error with `code`, and its message holds `word`.
template <typename Call>
void check_error(const std::string& code, const std::string& word, const Call& call) {
  try {
    call();
    check(false, "expected " + code + " about " + word + ", but nothing was thrown");
  } catch (const mcloss::Error& error) {
    const bool ok =
        error.code() == code && std::string(error.what()).find(word) != std::string::npos;
    check(ok,
          "expected " + code + " about " + word + " but got " + error.code() + ": " + error.what());
  }
}

}  // namespace test
