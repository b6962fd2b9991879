// The operators of batch_norm_act on one device, made of its two passes each way: the sums of all channels,
// and what follows from sums for all values.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "ops/batch_norm_act/channel.h"
#include "ops/batch_norm_act/checks.h"

namespace mcloss {

// Tensors are as bn_laid_out gives them; what is written is there already.
struct BnForward {
  BnArguments arguments = {};
  // The first pass writes `sums`, or they are given; undefined: the running statistics.
  bool takes_sums = false;
  at::Tensor sums = {};
  at::Tensor y = {}, saved = {};  // of the second pass; undefined: there is none
};

template <typename T>
BnStatisticsOfAll<T> bn_statistics(const BnForward& call) {
  const BnArguments& a = call.arguments;
  return {a.x.size(1),
          data_or_null<const double>(maybe(call.sums)),
          data_or_null<const T>(a.weight),
          data_or_null<const T>(a.bias),
          data_or_null<T>(a.running_mean),
          data_or_null<T>(a.running_var),
          a.momentum,
          a.eps,
          call.saved.data_ptr<double>()};
}

struct BnBackward {
  at::Tensor grad = {}, x = {};
  MaybeTensor y = {};
  at::Tensor saved = {};
  bool training = false, relu = false;
  // The first pass writes sums, grad_weight, grad_bias and, if it is defined, masked; or sums are given.
  bool takes_sums = false;
  at::Tensor sums = {}, grad_weight = {}, grad_bias = {}, masked = {};
  at::Tensor grad_x = {};  // of the second pass; undefined: there is none
};

// Device has `forward(const BnForward&)` and `backward(const BnBackward&)`.
template <typename Device>
struct BnOperators {
  static ForwardResult forward(const at::Tensor& x, const MaybeTensor& residual,
                               const MaybeTensor& weight, const MaybeTensor& bias,
                               const MaybeTensor& running_mean, const MaybeTensor& running_var,
                               bool training, double momentum, double eps, bool relu) {
    const BnArguments arguments{x,           residual, weight,   bias, running_mean,
                                running_var, training, momentum, eps,  relu};
    check_batch_norm_act(arguments);
    return normalized(arguments, training, training ? empty_bn_sums(x) : at::Tensor());
  }

  static at::Tensor sums(const at::Tensor& x) {
    check_bn_x(x);
    const at::Tensor sums = empty_bn_sums(x);
    BnForward call{.takes_sums = true, .sums = sums};
    call.arguments.x = bn_laid_out(x);
    Device::forward(call);
    return sums;
  }

  static ForwardResult from_sums(const at::Tensor& x, const MaybeTensor& residual,
                                 const MaybeTensor& weight, const MaybeTensor& bias,
                                 const MaybeTensor& running_mean, const MaybeTensor& running_var,
                                 const at::Tensor& sums, double momentum, double eps, bool relu) {
    const BnArguments arguments{x,           residual, weight,   bias, running_mean,
                                running_var, true,     momentum, eps,  relu};
    check_bn_arguments(arguments);
    check_bn_sums(sums, x);
    return normalized(arguments, false, sums);
  }

  static BackwardResult backward(const at::Tensor& grad, const at::Tensor& x, const MaybeTensor& y,
                                 const at::Tensor& saved, bool training, bool relu,
                                 bool grad_residual) {
    BnBackward call = laid_out(grad, x, y, saved, relu);
    call.training = training;
    take_sums(call, grad_residual);
    call.grad_x = at::empty_like(call.x);
    Device::backward(call);
    return {call.grad_x, call.grad_weight, call.grad_bias, masked_or_empty(call)};
  }

  static BackwardSumsResult backward_sums(const at::Tensor& grad, const at::Tensor& x,
                                          const MaybeTensor& y, const at::Tensor& saved, bool relu,
                                          bool grad_residual) {
    BnBackward call = laid_out(grad, x, y, saved, relu);
    take_sums(call, grad_residual);
    Device::backward(call);
    return {call.sums, call.grad_weight, call.grad_bias, masked_or_empty(call)};
  }

  static at::Tensor backward_from_sums(const at::Tensor& grad, const at::Tensor& x,
                                       const MaybeTensor& y, const at::Tensor& saved,
                                       const at::Tensor& sums, bool relu) {
    check_bn_sums(sums, x);
    BnBackward call = laid_out(grad, x, y, saved, relu);
    call.training = true;
    call.sums = sums;
    call.grad_x = at::empty_like(call.x);
    Device::backward(call);
    return call.grad_x;
  }

 private:
  static ForwardResult normalized(const BnArguments& given, bool takes_sums,
                                  const at::Tensor& sums) {
    BnForward call{.arguments = given, .takes_sums = takes_sums, .sums = sums};
    BnArguments& arguments = call.arguments;
    arguments.x = bn_laid_out(given.x);
    arguments.residual = bn_laid_out_as(arguments.x, given.residual);
    arguments.weight = contiguous(given.weight);
    arguments.bias = contiguous(given.bias);
    call.y = at::empty_like(arguments.x);
    call.saved = empty_bn_saved(given.x);
    Device::forward(call);
    if (given.training) bn_running_moved(given);
    return {call.y, call.saved};
  }

  static BnBackward laid_out(const at::Tensor& grad, const at::Tensor& x, const MaybeTensor& y,
                             const at::Tensor& saved, bool relu) {
    const at::Tensor own = bn_laid_out(x);
    return {.grad = bn_laid_out_as(own, grad),
            .x = own,
            .y = bn_laid_out_as(own, y),
            .saved = saved,
            .relu = relu};
  }

  static void take_sums(BnBackward& call, bool grad_residual) {
    const auto wide = call.x.options().dtype(accumulate_type(call.x.scalar_type()));
    call.takes_sums = true;
    call.sums = empty_bn_sums(call.x);
    call.grad_weight = at::empty({call.x.size(1)}, wide);
    call.grad_bias = at::empty({call.x.size(1)}, wide);
    if (grad_residual) call.masked = at::empty_like(call.x);
  }

  static at::Tensor masked_or_empty(const BnBackward& call) {
    return call.masked.defined() ? call.masked : at::empty({0}, call.x.options());
  }
};

template <typename Device>
void bn_register(torch::Library& m) {
  using Operators = BnOperators<Device>;
  m.impl("batch_norm_act_forward", &Operators::forward);
  m.impl("batch_norm_act_backward", &Operators::backward);
  m.impl("batch_norm_act_sums", &Operators::sums);
  m.impl("batch_norm_act_from_sums", &Operators::from_sums);
  m.impl("batch_norm_act_backward_sums", &Operators::backward_sums);
  m.impl("batch_norm_act_backward_from_sums", &Operators::backward_from_sums);
}

}  // namespace mcloss
