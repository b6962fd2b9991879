// A function on one of libuv's threads, as a promise.
#pragma once

#include <ATen/Parallel.h>
#include <napi.h>
#include <omp.h>

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "napi/failure.h"

namespace mcloss {

class AsyncOp : public Napi::AsyncWorker {
 public:
  // run: on libuv's thread; result: after success, on the JavaScript thread; keep: what run points
  // into.
  static Napi::Promise start(Napi::Env env, std::function<void()> run,
                             std::function<Napi::Value(Napi::Env)> result,
                             std::vector<Napi::ObjectReference> keep) {
    auto* const op = new AsyncOp(env, std::move(run), std::move(result), std::move(keep));
    const Napi::Promise promise = op->deferred_.Promise();
    op->Queue();
    return promise;
  }

 private:
  AsyncOp(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
          std::vector<Napi::ObjectReference> keep)
      : AsyncWorker(env),
        run_(std::move(run)),
        result_(std::move(result)),
        keep_(std::move(keep)),
        deferred_(env) {}

  void Execute() override {
    // The first use of LibTorch on a thread sets its count; ours comes after it.
    at::internal::lazy_init_num_threads();
    omp_set_num_threads(1);
    try {
      run_();
    } catch (...) {
      failure_ = current_failure();
    }
  }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(to_js_error(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(result_(Env()));
    }
  }

  std::function<void()> run_;
  std::function<Napi::Value(Napi::Env)> result_;
  std::vector<Napi::ObjectReference> keep_;
  Napi::Promise::Deferred deferred_;
  std::optional<Failure> failure_;
};

}  // namespace mcloss
