#include "train/step/profile.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>

#include "train/device/device.h"

namespace mcloss {
namespace {

using Clock = std::chrono::steady_clock;

// What a profiled step adds up. LibTorch carries it, like the callback itself, from the trainer's
// thread to the threads that run its backward pass, and to no other trainer's.
class Times : public c10::DebugInfoBase {
 public:
  explicit Times(bool device) : device_(device) {}

  void add(const char* name, Clock::duration self) {
    const std::lock_guard lock(mutex_);
    Sum& sum = sums_[name];
    ++sum.calls;
    sum.self += self;
  }

  // For the thread's own stream: another trainer may be recording, when a wait for the whole device
  // is refused.
  void wait_for_device() const {
    if (!device_) return;
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    guard.synchronizeStream(guard.getStream({at::kCUDA, 0}));
  }

  std::vector<OperatorTime> sorted() const {
    std::vector<OperatorTime> times;
    for (const auto& [name, sum] : sums_) {
      times.push_back(
          {name, sum.calls, std::chrono::duration<double, std::milli>(sum.self).count()});
    }
    std::sort(times.begin(), times.end(),
              [](const auto& a, const auto& b) { return a.self_ms > b.self_ms; });
    return times;
  }

 private:
  struct Sum {
    int64_t calls = 0;
    Clock::duration self{};
  };
  const bool device_;
  std::mutex mutex_;
  std::map<std::string, Sum> sums_;
};

Times* current_times() {
  return static_cast<Times*>(c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PRODUCER_INFO));
}

bool uses_gpu() {
  return cuda_device_count() > 0 && at::detail::getCUDAHooks().hasPrimaryContext(0);
}

// An operator that runs. Those of one thread end in the reverse order of their beginning.
struct Frame : at::ObserverContext {
  Frame* caller = nullptr;
  Clock::time_point began;
  Clock::duration called{};  // inside the operators it called
};
thread_local Frame* innermost = nullptr;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction&) {
  const Times* times = current_times();
  if (times == nullptr) return nullptr;
  auto frame = std::make_unique<Frame>();
  frame->caller = innermost;
  innermost = frame.get();
  frame->began = Clock::now();
  return frame;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  Times* const times = current_times();
  if (context == nullptr || times == nullptr) return;
  auto* const frame = static_cast<Frame*>(context);
  times->wait_for_device();
  const auto whole = Clock::now() - frame->began;
  innermost = frame->caller;
  if (frame->caller != nullptr) frame->caller->called += whole;
  times->add(function.name(), whole - frame->called);
}

class ThreadCallback {
 public:
  ThreadCallback()
      : handle_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(begin, end)
                .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                         at::RecordScope::USER_SCOPE}))) {}
  ThreadCallback(const ThreadCallback&) = delete;
  ThreadCallback& operator=(const ThreadCallback&) = delete;
  ~ThreadCallback() { at::removeCallback(handle_); }

 private:
  at::CallbackHandle handle_;
};

}  // namespace

std::vector<OperatorTime> profile_step(Trainer& trainer, const Batch& batch, const StepArgs& args) {
  const auto times = std::make_shared<Times>(uses_gpu());
  const c10::DebugInfoGuard info(c10::DebugInfoKind::PRODUCER_INFO, times);
  const ThreadCallback callback;
  {
    RECORD_USER_SCOPE("mcloss::step");
    trainer.step(batch, args, /*as_it_is=*/true);
  }
  return times->sorted();
}

}  // namespace mcloss
