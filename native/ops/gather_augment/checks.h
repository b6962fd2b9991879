// What gather_augment takes, checked and ready for its kernels.
#pragma once

#include "ops/gather_augment.h"
#include "ops/gather_augment/loops.h"
#include "ops/operator.h"

namespace mcloss {

// Arguments of the registered operator.
struct GatherArguments {
  const at::Tensor& pixels;
  const MaybeTensor& rows;
  const at::Tensor& windows;
  const MaybeTensor& jitter;
  int64_t out_height, out_width;
  at::ArrayRef<double> mean, std;
  at::ScalarType dtype;
  const MaybeTensor& erased;
  const at::Tensor* into = nullptr;  // where the result goes; null: into a new tensor
};

// Throws E_ARGUMENT for all that shows without a look at the values of rows, jitter and erased.
void check_gather(const GatherArguments& arguments);

// The result, not yet written.
at::Tensor empty_gather(const GatherArguments& arguments);

// Checked, on the device of the pixels, contiguous but for the strides of samples and lines of
// `pixels`.
struct GatherTensors {
  at::Tensor pixels, windows, result;
  MaybeTensor rows, jitter, erased;
};
GatherTensors prepare_gather(const GatherArguments& arguments);

// The same as plain memory, which the tensors keep alive.
GatherArrays arrays_of(const GatherTensors& tensors, const GatherArguments& arguments);

}  // namespace mcloss
