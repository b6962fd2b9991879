// What every operator needs on its way from the dispatcher to plain numbers: the others by name, the
// words of a refusal, tensors that may be left out, and the dtypes of sums and of storage.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/util/StringUtil.h>

#include <optional>
#include <string>
#include <type_traits>

#include "ops/kernel/storage.h"
#include "types.h"

namespace mcloss {

// A tensor as an operator takes it; LibTorch's own functions give undefined tensors instead.
using MaybeTensor = std::optional<at::Tensor>;

inline MaybeTensor maybe(const at::Tensor& tensor) {
  return tensor.defined() ? MaybeTensor(tensor) : std::nullopt;
}

inline MaybeTensor contiguous(const MaybeTensor& tensor) {
  return tensor ? MaybeTensor(tensor->contiguous()) : std::nullopt;
}

// Null where there is no tensor.
template <typename T>
T* data_or_null(const MaybeTensor& tensor) {
  if (!tensor) return nullptr;
  if constexpr (std::is_const_v<T>) {
    return tensor->const_data_ptr<std::remove_const_t<T>>();
  } else {
    return tensor->mutable_data_ptr<T>();
  }
}

// A registered operator, as "mcloss::mc_loss".
template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

// "Float [2, 3] on cpu".
inline std::string describe(const at::Tensor& tensor) {
  return c10::str(tensor.scalar_type(), " ", tensor.sizes(), " on ", tensor.device());
}

// next: whole sentences, or nothing.
[[noreturn]] inline void refuse(const char* who, const std::string& expected,
                                const std::string& received, const std::string& next = "") {
  throw Error("E_ARGUMENT", c10::str(who, ": expected ", expected, " but received ", received, ".",
                                     next.empty() ? "" : " ", next));
}

// Sums and parameters: float64 for float64, else float32.
inline at::ScalarType accumulate_type(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

// dtype: float64, float32, bfloat16 or float16.
inline bool is_floating(at::ScalarType dtype) {
  return dtype == at::kDouble || dtype == at::kFloat || dtype == at::kBFloat16 ||
         dtype == at::kHalf;
}

// Of those four.
inline Storage storage_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble: return Storage::f64;
    case at::kFloat: return Storage::f32;
    case at::kBFloat16: return Storage::bf16;
    default: return Storage::f16;
  }
}

}  // namespace mcloss
