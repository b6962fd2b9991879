// A feature map in the GPU's memory, and how many blocks work on it: one a (sample, class).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>

#include "ops/kernel/group_layout.h"
#include "ops/operator.h"

namespace mcloss {
namespace {

constexpr int kMcThreads = 128;  // of a block

// Strides in elements. `even`: the same distance from each position to the next.
template <typename S>
struct Map {
  S* data;
  int64_t sample, channel, row, column;
  int width;
  bool even;

  __device__ S* at(int64_t n, int64_t c) const { return data + n * sample + c * channel; }
  __device__ int64_t offset(int position) const {
    return even ? position * column : position / width * row + position % width * column;
  }
};

template <typename S>
Map<S> map_of(const at::Tensor& tensor) {
  return {static_cast<S*>(const_cast<void*>(tensor.const_data_ptr())),
          tensor.stride(0),
          tensor.stride(1),
          tensor.stride(2),
          tensor.stride(3),
          static_cast<int>(tensor.size(3)),
          tensor.stride(2) == tensor.size(3) * tensor.stride(3) || tensor.size(2) == 1};
}

// Whether the channels of a sample follow one another as rows of positions.
bool is_packed(const at::Tensor& tensor) {
  return tensor.stride(3) == 1 && (tensor.stride(2) == tensor.size(3) || tensor.size(2) == 1) &&
         tensor.stride(1) == tensor.size(2) * tensor.size(3);
}

// What both passes know of the features.
template <typename S>
struct Pass {
  GroupLayout groups;
  int64_t samples;
  int positions;
  bool channels_first;  // the next channel is nearer than the next position
  Map<const S> features;
};

template <typename S>
Pass<S> pass_over(const at::Tensor& features, const GroupLayout& groups) {
  return {groups, features.size(0), static_cast<int>(features.size(2) * features.size(3)),
          features.stride(1) < features.stride(3), map_of<const S>(features)};
}

unsigned blocks_of(const at::Tensor& features, const GroupLayout& groups) {
  const int64_t blocks = features.size(0) * groups.num_classes;
  const int64_t values = groups.largest_size() * features.size(2) * features.size(3);
  if (blocks > std::numeric_limits<int>::max() || values > std::numeric_limits<int>::max()) {
    refuse("mc_loss",
           "fewer than 2^31 (sample, class) pairs and fewer than 2^31 values in one of them",
           c10::str(blocks, " and ", values), "Use smaller batches or maps on a GPU.");
  }
  return static_cast<unsigned>(blocks);
}

}  // namespace
}  // namespace mcloss
