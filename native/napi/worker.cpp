#include "napi/worker.h"

#include "napi/addon_data.h"

namespace mcloss {
namespace {

void settle_promise(Napi::Env env, Job& job) {
  try {
    if (job.failure) throw to_js_error(env, *job.failure);
    job.deferred.Resolve(job.result ? job.result(env) : env.Undefined());
  } catch (const Napi::Error& error) {
    job.deferred.Reject(error.Value());
  }
}

void close_worker(void* worker) { static_cast<Worker*>(worker)->close(); }

}  // namespace

Worker::Worker(Napi::Env env) : env_(env) {
  const auto name = Napi::String::New(env, "mcloss trainer");
  NAPI_THROW_IF_FAILED_VOID(
      env, napi_create_threadsafe_function(env, nullptr, nullptr, name, /*max_queue_size=*/0,
                                           /*initial_thread_count=*/1, nullptr, nullptr, this,
                                           &Worker::settle, &settle_));
  napi_unref_threadsafe_function(env, settle_);
  thread_ = std::thread([this] { loop(); });
  // Hooks run last in, first out: this one joins the thread before Node takes settle_ down.
  napi_add_env_cleanup_hook(env, close_worker, this);
  env.GetInstanceData<AddonData>()->workers.insert(this);
}

void Worker::close_all(Napi::Env env) {
  const std::set<Worker*> workers = env.GetInstanceData<AddonData>()->workers;
  for (Worker* worker : workers) worker->close();
}

Napi::Promise Worker::post(std::unique_ptr<Job> job) {
  const Napi::Promise promise = job->deferred.Promise();
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return promise;
}

void Worker::loop() {
  std::unique_ptr<Trainer> trainer;
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      job->run(trainer);
    } catch (...) {
      job->failure = current_failure();
    }
    // Never refused: the queue has no bound and close() joins before it releases.
    napi_call_threadsafe_function(settle_, job.release(), napi_tsfn_nonblocking);
  }
}

void Worker::settle(napi_env raw_env, napi_value, void* context, void* data) {
  auto* const job = static_cast<Job*>(data);
  // Without an environment nothing can be settled or unreferenced any more: the job is left behind.
  if (raw_env == nullptr) return;
  const std::unique_ptr<Job> owned(job);
  auto* const worker = static_cast<Worker*>(context);
  const Napi::Env env(raw_env);
  const Napi::HandleScope scope(env);
  if (--worker->pending_ == 0) napi_unref_threadsafe_function(env, worker->settle_);
  if (job->settled) job->settled(!job->failure);
  // An exception that left here would end the process, and in an environment that is being
  // terminated every call fails: then nobody is left to tell.
  try {
    settle_promise(env, *job);
  } catch (...) {
  }
}

void Worker::close() {
  if (closed_) return;
  closed_ = true;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
  queue_.clear();
  env_.GetInstanceData<AddonData>()->workers.erase(this);
  napi_remove_env_cleanup_hook(env_, close_worker, this);
  napi_release_threadsafe_function(settle_, napi_tsfn_release);
}

}  // namespace mcloss
