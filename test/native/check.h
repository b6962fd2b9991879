// The whole test framework of the C++ programs: counted checks that print one line where they fail.
#pragma once

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdio>
#include <string>
#include <vector>

#include "types.h"

namespace test {

struct Count {
  int passed = 0, failed = 0;
};
inline Count count;

// The CPU, and the GPU where LibTorch sees one.
inline std::vector<at::DeviceType> devices() {
  if (at::hasCUDA()) return {at::kCPU, at::kCUDA};
  return {at::kCPU};
}

inline bool check(bool ok, const std::string& what) {
  ok ? ++count.passed : ++count.failed;
  if (!ok) std::printf("FAILED %s\n", what.c_str());
  return ok;
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
