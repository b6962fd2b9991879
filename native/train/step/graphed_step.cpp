#include "train/step/graphed_step.h"

#include <c10/util/Exception.h>

#include <mutex>

#include "train/device/recording.h"

namespace mcloss {
namespace {

// c10::Error's own what() ends in a C++ backtrace.
std::string message_of(const std::exception& error) {
  const auto* const libtorch = dynamic_cast<const c10::Error*>(&error);
  return libtorch ? libtorch->what_without_backtrace() : error.what();
}

}  // namespace

std::string GraphedStep::run(const StepBatch& given,
                             const std::function<void(const StepBatch&)>& update, bool as_it_is) {
  const auto run_as_it_is = [&] {
    const std::shared_lock nobody_records(recording_lock);
    update(given);
  };
  if (!graph_ || as_it_is) {
    run_as_it_is();
    return {};
  }
  const Shape shape{given.input.size(0), given.micro_batch};
  if (warm_ups_ == 0) shape_ = shape;
  if (shape != shape_ || warm_ups_ < warm_up_steps) {
    run_as_it_is();
    if (shape == shape_) ++warm_ups_;
    return {};
  }
  if (recorded_) {
    if (!given.input.is_same(batch_.input)) batch_.input.copy_(given.input);
    if (!given.target.is_same(batch_.target)) batch_.target.copy_(given.target);
  } else {
    batch_ = given;
    try {
      const std::lock_guard nobody_else_launches(recording_lock);
      graph_->record([this, update] { update(batch_); });
    } catch (const std::exception& error) {
      graph_.reset();  // with what the recording has allocated
      batch_ = {};
      run_as_it_is();
      return "cudaGraph: the step could not be recorded and runs without a graph. " +
             message_of(error);
    }
    recorded_ = true;
  }
  graph_->replay();
  return {};
}

StepBatch GraphedStep::memory_of(int64_t count, int64_t micro_batch) const {
  return recorded_ && shape_ == Shape{count, micro_batch} ? batch_ : StepBatch{};
}

void GraphedStep::forget() {
  if (recorded_) graph_->forget();
  recorded_ = false;
  warm_ups_ = 0;
  batch_ = {};
}

}  // namespace mcloss
