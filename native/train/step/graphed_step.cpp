#include "train/step/graphed_step.h"

#include <c10/util/Exception.h>

namespace mcloss {
namespace {

// c10::Error's own what() ends in a C++ backtrace.
std::string message_of(const std::exception& error) {
  const auto* const libtorch = dynamic_cast<const c10::Error*>(&error);
  return libtorch ? libtorch->what_without_backtrace() : error.what();
}

}  // namespace

std::string GraphedStep::run(Shape shape, const PartOf& part_of,
                             const std::function<void(const PartOf&)>& update) {
  if (graph_ && warm_ups_ == 0) shape_ = shape;
  if (!graph_ || shape != shape_ || warm_ups_ < warm_up_steps) {
    update(part_of);
    if (shape == shape_) ++warm_ups_;
    return {};
  }
  const StepPart given = part_of(0, shape.count);
  if (recorded_) {
    batch_.input.copy_(given.input);
    batch_.target.copy_(given.target);
  } else {
    batch_ = given;
    const PartOf part_of_batch = [this](int64_t first, int64_t count) {
      return StepPart{batch_.input.narrow(0, first, count), batch_.target.narrow(0, first, count)};
    };
    try {
      graph_->record([update, part_of_batch] { update(part_of_batch); });
    } catch (const std::exception& error) {
      graph_.reset();
      update(part_of_batch);
      batch_ = {};
      return "cudaGraph: the step could not be recorded and runs without a graph. " +
             message_of(error);
    }
    recorded_ = true;
  }
  graph_->replay();
  return {};
}

}  // namespace mcloss
