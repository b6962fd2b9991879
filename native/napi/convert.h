// JavaScript values to the plain structs of types.h and back. lib/ has validated already: here only
// what could crash is checked, and every refusal is an Error E_ARGUMENT.
#pragma once

#include <napi.h>

#include <map>
#include <string>
#include <vector>

#include "types.h"

namespace mcloss {

// An object's members by name; `who` begins every message.
class Fields {
 public:
  Fields(const Napi::Value& value, std::string who);

  std::vector<std::string> names() const;
  bool has(const char* name) const;
  std::string text(const char* name) const;
  bool boolean(const char* name) const;
  double number(const char* name) const;
  int64_t integer(const char* name) const;  // >= 0, at most 2^53 - 1
  std::vector<double> numbers(const char* name, size_t count) const;
  std::vector<int64_t> integers(const char* name) const;
  Fields object(const char* name) const;
  // A typed array of `type` with exactly `length` elements.
  Napi::TypedArray array(const char* name, napi_typedarray_type type, int64_t length) const;
  Napi::Value value(const char* name) const;

  [[noreturn]] void refuse(const char* name, const std::string& expected) const;

 private:
  Napi::Object object_;
  std::string who_;
};

// Of a batch, a map, a model.
constexpr int64_t max_size = 1 << 24;
int64_t size_of(const Fields& fields, const char* name);  // 1..max_size

ModelConfig model_config(const Fields& fields);
TrainerConfig trainer_config(const Napi::Value& value);
McWeights mc_weights(const Fields& fields);
Keep keep_of(const Fields& fields);
MaskScope mask_scope_of(const Fields& fields);
Impl impl_of(const Fields& fields);
StepArgs step_args(const Napi::Value& value);

// The batch points into JavaScript's buffers: `keep` is for as long as it is used.
struct KeptBatch {
  Batch batch;
  std::vector<Napi::ObjectReference> keep;
};
KeptBatch batch_of(const Napi::Value& value, bool with_labels);

Napi::Value to_js(Napi::Env env, const StepStats& stats);
Napi::Value to_js(Napi::Env env, const EvalStats& stats);
Napi::Value to_js(Napi::Env env, const std::vector<float>& values);  // Float32Array

std::map<std::string, std::string> string_map(const Napi::Value& value, const std::string& who);
std::string string_of(const Napi::Value& value, const std::string& who);

}  // namespace mcloss
