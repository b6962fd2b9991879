// The one long-lived thread of a trainer. Jobs run on it in order; each settles its promise on the
// JavaScript thread. LibTorch keeps thread count, grad mode and autocast per thread, so everything
// a trainer does happens here.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "napi/failure.h"
#include "train/step/trainer.h"

namespace mcloss {

// Made and destroyed on the JavaScript thread; `run` alone is called on the worker.
struct Job {
  explicit Job(Napi::Env env) : deferred(env) {}

  std::function<void(std::unique_ptr<Trainer>&)> run;
  std::function<Napi::Value(Napi::Env)> result;  // after success; left out: undefined
  std::function<void(bool succeeded)> settled;   // after either, before the promise settles
  std::vector<Napi::ObjectReference> keep;       // what must not be collected before it is done
  Napi::Promise::Deferred deferred;
  std::optional<Failure> failure;
};

class Worker {
 public:
  explicit Worker(Napi::Env env);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { close(); }

  Napi::Promise post(std::unique_ptr<Job> job);
  // Lets the running job end, drops the waiting ones, frees the trainer on its own thread, joins.
  // Idempotent.
  void close();
  static void close_all(Napi::Env env);

 private:
  void loop();
  static void settle(napi_env env, napi_value, void* worker, void* job);

  Napi::Env env_;
  napi_threadsafe_function settle_ = nullptr;
  int64_t pending_ = 0;  // posted and not settled; while there are any the process is kept alive
  bool closed_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace mcloss
