// What the CPU's and the GPU's batch_norm_act share: argument checks, the layout in memory, and the
// tensors that the forward pass leaves for the backward pass.
#pragma once

#include <tuple>

#include "ops/operator.h"

namespace mcloss {

// The operator's arguments.
struct BnArguments {
  at::Tensor x;
  MaybeTensor residual, weight, bias, running_mean, running_var;
  bool training;
  double momentum, eps;
  bool relu;
};

// Throws E_ARGUMENT unless the arguments are what batch_norm_act takes; the second of them without the
// count of x's values.
void check_batch_norm_act(const BnArguments& arguments);
void check_bn_arguments(const BnArguments& arguments);
void check_bn_x(const at::Tensor& x);
void check_bn_sums(const at::Tensor& sums, const at::Tensor& x);

// Autograd's notice that the running statistics have changed.
void bn_running_moved(const BnArguments& arguments);

// x where it is contiguous or channels_last, else a copy that is.
at::Tensor bn_laid_out(const at::Tensor& x);
// other in the layout of x, which comes from bn_laid_out.
at::Tensor bn_laid_out_as(const at::Tensor& x, const at::Tensor& other);
MaybeTensor bn_laid_out_as(const at::Tensor& x, const MaybeTensor& other);

// The values of x in memory: [rows, channels] (channels_last, [N, C]), or else [samples, channels,
// positions].
struct BnLayout {
  explicit BnLayout(const at::Tensor& x);
  int64_t samples, channels, positions;
  bool by_rows;
  int64_t count() const { return samples * positions; }  // values a channel
};

// Saved for the backward pass: x (the convolution before keeps no copy of its own), y only where both
// a residual and the ReLU are there (the convolution after saves it anyway) and this, 32 bytes a
// channel: double [4, C]. LibTorch's batch_norm, add_, relu_ save x and y as well. scale and shift are
// rounded to the type the kernels use them in (float64 for float64 x, else float32):
// y = (x - pivot) * scale + shift, pivot = the mean in that type.
enum BnSaved { kSavedMean, kSavedInvStd, kSavedScale, kSavedShift, kBnSaved };
at::Tensor empty_bn_saved(const at::Tensor& x);

// Double [3, C], as batch_norm_act.h describes the results of the operators of sums.
at::Tensor empty_bn_sums(const at::Tensor& x);

using ForwardResult = std::tuple<at::Tensor, at::Tensor>;  // y, saved
// d loss / d x, weight, bias, and residual where it is asked for, else an empty tensor.
using BackwardResult = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
// sums, d loss / d weight, bias, and residual as above.
using BackwardSumsResult = BackwardResult;

}  // namespace mcloss
