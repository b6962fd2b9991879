// NativeTrainer as JavaScript sees it: states are checked here, the work goes to its Worker.
#pragma once

#include <napi.h>

#include <memory>

#include "napi/worker.h"

namespace mcloss {

class TrainerWrap : public Napi::ObjectWrap<TrainerWrap> {
 public:
  // The class, with its static create().
  static Napi::Function define(Napi::Env env);
  // Takes over the worker (External) of a trainer that create() has made.
  explicit TrainerWrap(const Napi::CallbackInfo& info);

 private:
  static Napi::Value create(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value profile(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value embed(const Napi::CallbackInfo& info);
  Napi::Value features(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value load_weights(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  // A job that keeps this object alive. Throws E_STATE after dispose().
  std::unique_ptr<Job> make_job(Napi::Env env);

  std::shared_ptr<Worker> worker_;
  int steps_in_flight_ = 0;
  Napi::ObjectReference disposed_;  // the promise of dispose(); empty before it
};

}  // namespace mcloss
