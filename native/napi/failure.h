// The guard round every entry point and thread: a C++ exception becomes a McLossError with a code.
// An exception that left an N-API callback would end the process.
#pragma once

#include <napi.h>

#include <string>

namespace mcloss {

struct Failure {
  std::string code, message;
};

// Call inside a catch block.
Failure current_failure();

// The class set by setErrorClass, made with (code, message).
Napi::Error to_js_error(Napi::Env env, const Failure& failure);

// For a function that returns at once: errors are thrown.
template <typename Function>
Napi::Value guarded(Napi::Env env, Function function) {
  try {
    return function();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js_error(env, current_failure());
  }
}

// For a function that returns a promise: errors reject it.
template <typename Function>
Napi::Value guarded_promise(Napi::Env env, Function function) {
  const auto rejected = [env](const Napi::Value& reason) -> Napi::Value {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(reason);
    return deferred.Promise();
  };
  try {
    return function();
  } catch (const Napi::Error& error) {
    return rejected(error.Value());
  } catch (...) {
    return rejected(to_js_error(env, current_failure()).Value());
  }
}

}  // namespace mcloss
