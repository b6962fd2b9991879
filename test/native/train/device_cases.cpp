// What a trainer does for a GPU, as far as it shows without one: which GPUs are refused, statistics of
// an allocator that has allocated nothing, recordings that break or meet other work.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cases.h"
#include "check.h"
#include "train/device/device.h"
#include "train/device/gpu_code.h"
#include "train/device/recording.h"
#include "train/step/capture.h"
#include "train/step/graphed_step.h"
#include "train/step/trainer.h"
#include "transfers.h"

namespace test {
namespace {

void gpus() {
  const std::vector<int> compiled{80, 90};
  check(mcloss::refusal_of({"A100", 80}, compiled).empty(), "compiled for it");
  check(mcloss::refusal_of({"RTX 4090", 89}, compiled).empty(), "newer in a generation");
  check(mcloss::refusal_of({"B200", 100}, compiled).empty(), "newer than all");
  check(mcloss::refusal_of({"T4", 75}, compiled) ==
            "T4 has compute capability 7.5, and this add-on has code for 8.0, 9.0 and newer",
        "older than all");
  check(!mcloss::refusal_of({"T4", 75}, {90, 80}).empty(), "in any order");
  check(mcloss::refusal_of({"B200", 100}, {}).find("no GPU") != std::string::npos,
        "no code at all");
}

// Before its first tensor CUDA's has no device yet, and refuses to speak of one.
class FakeAllocator : public at::DeviceAllocator {
 public:
  bool initialized() override { return is_initialized; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    if (!is_initialized) throw std::runtime_error("did you call init?");
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak = 9;
    return stats;
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  c10::DataPtr allocate(size_t) override { return {}; }
  void copy_data(void*, const void*, size_t) const override {}

  bool is_initialized = false;
};

void memory() {
  FakeAllocator allocator;
  check(mcloss::peak_memory(allocator, 0) == 0, "peak memory before the first tensor");
  allocator.is_initialized = true;
  check(mcloss::peak_memory(allocator, 0) == 9, "peak memory as the allocator says");
}

void broken_recordings() {
  const auto nothing = [] {};
  const auto refuses = [](const char* why) { return [why] { throw std::runtime_error(why); }; };
  int abandoned = 0;
  const auto abandon = [&] { ++abandoned; };
  const auto reason = [&](const auto& step, const auto& end) -> std::string {
    try {
      mcloss::captured(step, end, abandon);
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  };
  check(reason(nothing, nothing).empty() && abandoned == 0, "whole: nothing to clean up");
  check(reason(refuses("out of memory"), nothing) == "out of memory" && abandoned == 0,
        "the step fails, the recording ends: nothing to clean up");
  check(reason(refuses("waits"), refuses("invalid")) == "waits" && abandoned == 1,
        "the step breaks it: cleaned up, and the step's reason is told");
  check(reason(nothing, refuses("invalid")) == "invalid" && abandoned == 2,
        "another thread breaks it: cleaned up, and that is told");
}

mcloss::StepBatch two() { return {at::zeros({2, 1, 1, 1}), at::zeros({2}, at::kLong), 2}; }

// Records whether it is being recorded while others run.
class SlowGraph : public mcloss::StepGraph {
 public:
  void record(const std::function<void()>&) override {
    recording = true;
    began.set_value();
    other_began.get_future().wait();
    // Time in which a step that does not wait for its turn would run.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    recording = false;
  }
  void replay() override {}
  void forget() override {}
  static inline std::atomic<bool> recording = false;
  static inline std::promise<void> began, other_began;
};

void turns() {
  mcloss::GraphedStep recorded(std::make_unique<SlowGraph>()), other(nullptr);
  const auto recorder = std::async(std::launch::async, [&] {
    for (int step = 0; step < 4; ++step) recorded.run(two(), [](const mcloss::StepBatch&) {});
  });
  SlowGraph::began.get_future().wait();
  SlowGraph::other_began.set_value();
  bool during = true;
  other.run(two(), [&](const mcloss::StepBatch&) { during = SlowGraph::recording; });
  recorder.wait();
  check(!during, "no step runs while another trainer records");
}

mcloss::TrainerConfig toy(mcloss::Precision precision) {
  mcloss::TrainerConfig config;
  config.model.backbone = "toy";
  config.model.head = "two-layer";
  config.model.num_classes = 5;
  config.model.input_height = config.model.input_width = 32;
  config.precision = precision;
  return config;
}

struct ToyBatch {
  std::vector<uint8_t> pixels = std::vector<uint8_t>(4 * 32 * 32 * 3, 100);
  std::vector<int32_t> windows = std::vector<int32_t>(12), labels{0, 1, 2, 3};

  mcloss::Batch batch() const {
    mcloss::Batch batch;
    batch.count = 4;
    batch.height = batch.width = 32;
    batch.pixels = pixels.data();
    batch.windows = windows.data();
    batch.labels = labels.data();
    return batch;
  }
};

// With bf16 the images are made as bf16.
void steps_without_casts() {
  const ToyBatch toy_batch;
  for (const auto precision : {mcloss::Precision::fp32, mcloss::Precision::bf16}) {
    mcloss::Trainer trainer(toy(precision));
    trainer.step(toy_batch.batch(), {});
    {
      const Transfers transfers;
      trainer.step(toy_batch.batch(), {.step = 1, .lr = 0.01});
      check(Transfers::seen.image_casts == 0, "a step casts no image");
    }
    check(trainer.stats().steps == 2, "two steps");
  }
}

void evaluation_takes_turns() {
  const ToyBatch toy_batch;
  mcloss::Trainer trainer(toy(mcloss::Precision::fp32));
  std::unique_lock recording(mcloss::recording_lock);
  auto predicted =
      std::async(std::launch::async, [&] { return trainer.predict(toy_batch.batch()).size(); });
  const bool waited =
      predicted.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout;
  recording.unlock();
  check(predicted.get() == 4 * 5, "predicted");
  check(waited, "no prediction while a trainer records");
}

}  // namespace

void device() {
  test_case("device: GPUs", gpus);
  test_case("device: memory", memory);
  test_case("device: broken recordings", broken_recordings);
  test_case("device: recordings and other steps", turns);
  test_case("device: recordings and evaluation", evaluation_takes_turns);
  test_case("device: steps without casts of images", steps_without_casts);
}

}  // namespace test
