// StepGraph on LibTorch's CUDAGraph, which also keeps the recording's memory apart from all other.
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/version.h>

#include <optional>

#include "train/step/capture.h"
#include "train/step/step_graph.h"

namespace mcloss {
namespace {

// Before 2.14 LibTorch's capture_end throws for a broken capture while its allocators still divert to
// the capture's pool, and its reset() leaves them so: from then on no block that two streams used would
// ever be free again, every uploaded batch among them.
constexpr bool leaves_allocators_capturing = TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 14;

// at::HostAllocator of the versions that divert pinned memory too.
template <typename Host>
void end_host_pool(Host* host, c10::MempoolId_t pool) {
  if constexpr (requires { host->end_allocate_to_pool(pool); }) {
    host->end_allocate_to_pool(pool);
    host->release_pool(pool);
  }
}

void end_pool(c10::MempoolId_t pool) {
  if (!leaves_allocators_capturing) return;
  const c10::DeviceIndex device = c10::cuda::current_device();
  try {
    c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
  } catch (const c10::Error&) {
    return;  // capture_end had come further than that
  }
  c10::cuda::CUDACachingAllocator::releasePool(device, pool);
  end_host_pool(at::getHostAllocator(at::kCUDA), pool);
}

class CudaStepGraph : public StepGraph {
 public:
  void record(const std::function<void()>& step) override {
    // The recording gets memory of its own; what the steps before it used would lie idle beside it.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.emplace();
    const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
    // Other threads (a store on its way to the GPU) may go on allocating.
    const auto begin_and_step = [&] {
      graph_->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
      step();
    };
    captured(begin_and_step, [this] { graph_->capture_end(); }, [&] { end_pool(pool); });
  }

  void replay() override { graph_->replay(); }

  void forget() override {
    c10::cuda::getCurrentCUDAStream().synchronize();  // the last replay reads its memory
    graph_.reset();
  }

 private:
  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace

std::unique_ptr<StepGraph> make_step_graph() { return std::make_unique<CudaStepGraph>(); }

}  // namespace mcloss
