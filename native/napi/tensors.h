// JavaScript's typed arrays as tensors, and tensors as typed arrays.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "napi/fields.h"

namespace mcloss {

// Tensors over JavaScript's memory, which stays as long as `keep`.
struct Views {
  // A member of exactly the shape's size: at::kByte, kInt, kFloat or kDouble.
  at::Tensor of(const Fields& fields, const char* name, at::ScalarType dtype,
                at::IntArrayRef shape);

  std::vector<Napi::ObjectReference> keep;
};

// at::kDouble for a Float64Array, else at::kFloat.
at::ScalarType float_dtype_of(const Napi::Value& value);

// A typed array over a copy of a float32 or float64 tensor.
Napi::Value array_of(Napi::Env env, const at::Tensor& tensor);

}  // namespace mcloss
