// StepGraph on LibTorch's CUDAGraph, which also keeps the recording's memory apart from all other.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>

#include <optional>

#include "train/step/step_graph.h"

namespace mcloss {
namespace {

class CudaStepGraph : public StepGraph {
 public:
  void record(const std::function<void()>& step) override {
    // The recording gets memory of its own; what the steps before it used would lie idle beside it.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.emplace();
    // Other threads (a store on its way to the GPU) may go on allocating.
    graph_->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      step();
    } catch (...) {
      end_broken_capture();
      throw;
    }
    graph_->capture_end();
  }

  void replay() override { graph_->replay(); }

  void forget() override {
    c10::cuda::getCurrentCUDAStream().synchronize();  // the last replay reads its memory
    graph_.reset();
  }

 private:
  void end_broken_capture() {
    try {
      graph_->capture_end();
    } catch (const std::exception&) {
      cudaGetLastError();  // else the next launch would report it
    }
  }

  std::optional<at::cuda::CUDAGraph> graph_;
};

}  // namespace

std::unique_ptr<StepGraph> make_step_graph() { return std::make_unique<CudaStepGraph>(); }

}  // namespace mcloss
