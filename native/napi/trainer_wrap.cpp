#include "napi/trainer_wrap.h"

#include "napi/addon_data.h"
#include "napi/batch.h"
#include "napi/fields.h"
#include "napi/results.h"
#include "train/step/profile.h"

namespace mcloss {
namespace {

constexpr int max_steps_in_flight = 2;

using TrainerPtr = std::unique_ptr<Trainer>;

// Its buffers stay until the job is done.
Batch take_batch(Job& job, const Napi::Value& value, bool with_labels) {
  KeptBatch kept = batch_of(value, with_labels);
  for (auto& buffer : kept.keep) job.keep.push_back(std::move(buffer));
  return kept.batch;
}

InferArgs infer_args(const Napi::Value& value, const char* who) {
  return value.IsUndefined() ? InferArgs() : record_of<InferArgs>(value, who);
}

}  // namespace

Napi::Function TrainerWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeTrainer",
      {StaticMethod("create", &TrainerWrap::create), InstanceMethod("step", &TrainerWrap::step),
       InstanceMethod("stats", &TrainerWrap::stats),
       InstanceMethod("profile", &TrainerWrap::profile),
       InstanceMethod("evaluate", &TrainerWrap::evaluate),
       InstanceMethod("predict", &TrainerWrap::predict),
       InstanceMethod("embed", &TrainerWrap::embed),
       InstanceMethod("features", &TrainerWrap::features),
       InstanceMethod("saveFiles", &TrainerWrap::save),
       InstanceMethod("loadFiles", &TrainerWrap::load),
       InstanceMethod("loadFile", &TrainerWrap::load_weights),
       InstanceMethod("dispose", &TrainerWrap::dispose)});
}

TrainerWrap::TrainerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw to_js_error(info.Env(),
                      {"E_ARGUMENT", "NativeTrainer: make one with NativeTrainer.create(config)."});
  }
  worker_ = *info[0].As<Napi::External<std::shared_ptr<Worker>>>().Data();
}

Napi::Value TrainerWrap::create(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const auto config = record_of<TrainerConfig>(info[0], "NativeTrainer.create");
    auto worker = std::make_shared<Worker>(info.Env());
    auto job = std::make_unique<Job>(info.Env());
    job->run = [config](TrainerPtr& trainer) { trainer = std::make_unique<Trainer>(config); };
    job->result = [worker](Napi::Env env) mutable -> Napi::Value {
      const auto external = Napi::External<std::shared_ptr<Worker>>::New(env, &worker);
      return env.GetInstanceData<AddonData>()->trainer_class.New({external});
    };
    job->settled = [worker](bool succeeded) {
      if (!succeeded) worker->close();
    };
    return worker->post(std::move(job));
  });
}

std::unique_ptr<Job> TrainerWrap::make_job(Napi::Env env) {
  if (!disposed_.IsEmpty()) {
    throw Error("E_STATE", "This trainer is disposed; create a new one.");
  }
  auto job = std::make_unique<Job>(env);
  job->keep.push_back(Napi::Persistent(Value()));
  return job;
}

Napi::Value TrainerWrap::step(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    if (steps_in_flight_ >= max_steps_in_flight) {
      throw Error("E_STATE",
                  "This trainer has two steps in flight; await the first before the third.");
    }
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/true);
    const auto args = record_of<StepArgs>(info[1], "trainer.step");
    job->run = [batch, args](TrainerPtr& trainer) { trainer->step(batch, args); };
    job->settled = [this](bool) { --steps_in_flight_; };
    ++steps_in_flight_;
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::stats(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const auto stats = std::make_shared<StepStats>();
    job->run = [stats](TrainerPtr& trainer) { *stats = trainer->stats(); };
    job->result = [stats](Napi::Env env) { return to_js(env, *stats); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::profile(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/true);
    const auto args = record_of<StepArgs>(info[1], "trainer.step");
    const auto times = std::make_shared<std::vector<OperatorTime>>();
    job->run = [batch, args, times](TrainerPtr& trainer) {
      *times = profile_step(*trainer, batch, args);
    };
    job->result = [times](Napi::Env env) { return to_js(env, *times); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::evaluate(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/true);
    const auto stats = std::make_shared<EvalStats>();
    const auto args = infer_args(info[1], "trainer.evaluate");
    job->run = [=](TrainerPtr& trainer) { *stats = trainer->evaluate(batch, args); };
    job->result = [stats](Napi::Env env) { return to_js(env, *stats); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::predict(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/false);
    const auto logits = std::make_shared<std::vector<float>>();
    const auto args = infer_args(info[1], "trainer.predict");
    job->run = [=](TrainerPtr& trainer) { *logits = trainer->predict(batch, args); };
    job->result = [logits](Napi::Env env) { return to_js(env, *logits); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::embed(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/false);
    const auto embedded = std::make_shared<Embedded>();
    const auto args = infer_args(info[1], "trainer.embed");
    job->run = [=](TrainerPtr& trainer) { *embedded = trainer->embed(batch, args); };
    job->result = [embedded](Napi::Env env) { return to_js(env, *embedded); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::features(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    struct Maps {
      std::vector<float> data;
      std::vector<int64_t> shape;

      void fields(const ResultFields& v) {
        v("data", data);
        v("shape", shape);
      }
    };
    auto job = make_job(info.Env());
    const Batch batch = take_batch(*job, info[0], /*with_labels=*/false);
    const std::vector<int64_t> channels =
        Fields(info[1], "trainer.features").get<std::vector<int64_t>>("channels");
    const auto maps = std::make_shared<Maps>();
    job->run = [batch, channels, maps](TrainerPtr& trainer) {
      maps->data = trainer->features(batch, channels, maps->shape);
    };
    job->result = [maps](Napi::Env env) { return to_js(env, *maps); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::save(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const std::string dir = string_of(info[0], "trainer.save");
    const std::string metadata = string_of(info[1], "trainer.save metadata");
    job->run = [dir, metadata](TrainerPtr& trainer) { trainer->save(dir, metadata); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::load(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const Fields files(info[0], "trainer.load");
    const auto model = std::make_shared<WeightFile>(files.get<WeightTable>("model"));
    const auto optimizer = std::make_shared<WeightFile>(files.get<WeightTable>("optimizer"));
    const auto ema =
        files.has("ema") ? std::make_shared<WeightFile>(files.get<WeightTable>("ema")) : nullptr;
    job->run = [=](TrainerPtr& trainer) { trainer->load(*model, *optimizer, ema.get()); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::load_weights(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    auto job = make_job(info.Env());
    const auto file =
        std::make_shared<WeightFile>(record_of<WeightTable>(info[0], "trainer.loadWeights"));
    const auto options = record_of<TakeOptions>(info[1], "trainer.loadWeights");
    const auto taken = std::make_shared<Taken>();
    job->run = [=](TrainerPtr& trainer) { *taken = trainer->load_weights(*file, options); };
    job->result = [taken](Napi::Env env) { return to_js(env, *taken); };
    return worker_->post(std::move(job));
  });
}

Napi::Value TrainerWrap::dispose(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    if (!disposed_.IsEmpty()) return disposed_.Value();
    auto job = make_job(info.Env());
    job->run = [](TrainerPtr& trainer) { trainer.reset(); };
    job->settled = [this](bool) { worker_->close(); };
    const Napi::Promise promise = worker_->post(std::move(job));
    disposed_ = Napi::Persistent(promise.As<Napi::Object>());
    return promise;
  });
}

}  // namespace mcloss
