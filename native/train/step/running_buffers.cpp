#include "train/step/running_buffers.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>

#include <map>

namespace mcloss {

RunningBuffers::RunningBuffers(const NamedTensors& backbone, const NamedTensors& head,
                               const NamedTensors& others) {
  std::map<at::ScalarType, std::vector<at::Tensor>> by_dtype;
  int64_t of_head = 0;
  for (const NamedTensors* part : {&backbone, &head, &others}) {
    for (const auto& [name, buffer] : *part) {
      by_dtype[buffer.scalar_type()].push_back(buffer);
      of_head += part == &head && buffer.scalar_type() == at::kLong;
    }
  }
  for (auto& [dtype, same] : by_dtype) {
    std::vector<at::Tensor> flattened;
    for (const at::Tensor& buffer : same) flattened.push_back(buffer.flatten());
    const at::Tensor flat = at::cat(flattened);
    int64_t begin = 0;
    for (at::Tensor& buffer : same) {
      buffer.set_data(flat.narrow(0, begin, buffer.numel()).view(buffer.sizes()));
      begin += buffer.numel();
    }
    flat_.push_back(flat);
    saved_.push_back(at::empty_like(flat));
    if (dtype != at::kLong) continue;
    counters_ = flat;
    head_counters_ = flat.narrow(0, flat.numel() - of_head, of_head);
  }
}

void RunningBuffers::count(int64_t batches, bool of_backbone) {
  at::Tensor& counters = of_backbone ? counters_ : head_counters_;
  if (counters.defined() && counters.numel() > 0) counters.add_(batches);
}

void RunningBuffers::save() {
  for (size_t i = 0; i < flat_.size(); ++i) saved_[i].copy_(flat_[i]);
}

void RunningBuffers::restore() {
  for (size_t i = 0; i < flat_.size(); ++i) flat_[i].copy_(saved_[i]);
}

void RunningBuffers::restore_where(const at::Tensor& skip) {
  for (size_t i = 0; i < flat_.size(); ++i) {
    at::where_out(flat_[i], skip, saved_[i], flat_[i]);
  }
}

}  // namespace mcloss
