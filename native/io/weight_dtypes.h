// The element types a file of weights may hold, in the order the official writer sorts by
// (widest first, so that every tensor begins at a multiple of its element's size).
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <string_view>

namespace mcloss {

struct WeightDtype {
  std::string_view name;
  at::ScalarType type;
  uint64_t bytes;
};

inline constexpr std::array<WeightDtype, 10> weight_dtypes{{
    {"I64", at::kLong, 8},
    {"F64", at::kDouble, 8},
    {"F32", at::kFloat, 4},
    {"I32", at::kInt, 4},
    {"BF16", at::kBFloat16, 2},
    {"F16", at::kHalf, 2},
    {"I16", at::kShort, 2},
    {"I8", at::kChar, 1},
    {"U8", at::kByte, 1},
    {"BOOL", at::kBool, 1},
}};

}  // namespace mcloss
