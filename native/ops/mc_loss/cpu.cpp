// The fused MC-Loss on the CPU: tensors to plain arrays, threads over (sample, class), and the terms
// that follow from the [N, K] scores. The loops over the map: mc_loss/loops.cpp.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/kernel/processor.h"
#include "ops/mc_loss/checks.h"
#include "ops/mc_loss/loops.h"

namespace mcloss {
namespace {

const McPasses& passes(Storage storage) {
  static const McPasses* const all = form_for_processor(at::get_cpu_capability(), mc_passes_plain,
                                                        mc_passes_avx2, mc_passes_avx512)();
  return all[static_cast<int>(storage)];
}

McMap map_of(const at::Tensor& tensor) {
  return {.data = const_cast<void*>(tensor.const_data_ptr()),
          .sample = tensor.stride(0),
          .channel = tensor.stride(1),
          .row = tensor.stride(2),
          .column = tensor.stride(3)};
}

McArrays arrays_of(const at::Tensor& features, const GroupLayout& groups, const at::Tensor& winners,
                   const at::Tensor& channel_stats) {
  return {.groups = groups,
          .num_samples = features.size(0),
          .height = features.size(2),
          .width = features.size(3),
          .storage = storage_of(features.scalar_type()),
          .wide_winners = winners.scalar_type() == at::kInt,
          .features = map_of(features),
          .winners = const_cast<void*>(winners.const_data_ptr()),
          .channel_stats = const_cast<void*>(channel_stats.const_data_ptr())};
}

// Runs the pass on all (sample, class) pairs. They are independent of one another, so the result does
// not depend on the number of threads.
template <typename Pass, typename Arrays>
void for_all_groups(Pass pass, const Arrays& arrays) {
  const int64_t classes = arrays.groups.num_classes;
  const int64_t element_size = arrays.storage == Storage::f64 ? 8 : 4;
  at::parallel_for(0, arrays.num_samples * classes, 1, [&](int64_t begin, int64_t end) {
    std::vector<char> scratch(mc_scratch_bytes(arrays.height * arrays.width, element_size));
    while (begin < end) {
      const int64_t sample = begin / classes, first = begin % classes;
      const int64_t last = std::min(classes, first + end - begin);
      pass(arrays, sample, first, last, scratch.data());
      begin += last - first;
    }
  });
}

// The cross entropy of one row of scores; grad [K]: d / d scores, times share.
template <typename T>
double cross_entropy(const T* scores, int64_t classes, int64_t label, double share, T* grad) {
  const double largest = *std::max_element(scores, scores + classes);
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(scores[k] - largest);
  for (int64_t k = 0; k < classes; ++k) {
    const double probability = std::exp(scores[k] - largest) / sum;
    grad[k] = static_cast<T>((probability - (k == label)) * share);
  }
  return std::log(sum) + largest - scores[label];
}

template <typename T>
void fill_terms(const McForward& result, const at::Tensor& target, const GroupLayout& groups,
                const McFactors& factors) {
  const int64_t samples = target.size(0), classes = groups.num_classes;
  const at::Tensor labels = target.contiguous();
  const int64_t* label = labels.const_data_ptr<int64_t>();
  const T* g = result.class_scores.const_data_ptr<T>();
  const T* h = result.diversity.const_data_ptr<T>();
  T* grad = result.score_grad.data_ptr<T>();
  std::vector<double> dis(samples);
  at::parallel_for(0, samples, 8, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      dis[n] = cross_entropy(g + n * classes, classes, label[n], 1.0 / samples, grad + n * classes);
    }
  });
  double dis_sum = 0, small = 0, large = 0;
  for (int64_t n = 0; n < samples; ++n) {
    dis_sum += dis[n];
    for (int64_t k = 0; k < classes; ++k)
      (k < groups.num_small ? small : large) += h[n * classes + k];
  }
  const auto count = static_cast<double>(samples * classes);
  const double mean_dis = dis_sum / static_cast<double>(samples);
  *result.dis.data_ptr<T>() = static_cast<T>(mean_dis);
  *result.div.data_ptr<T>() = static_cast<T>((small + large) / count);
  *result.loss.data_ptr<T>() =
      static_cast<T>(factors.dis * mean_dis + factors.constant +
                     (factors.small * small + factors.large * large) / count);
}

// d loss / d g and d loss / d h, [N, K] each.
template <typename T>
void fill_grad_of_scores(const McUpstream& upstream, const at::Tensor& score_grad,
                         const GroupLayout& groups, const McFactors& factors, T* grad_scores,
                         T* grad_spread) {
  const auto scalar = [](const MaybeTensor& value) { return value ? value->item<double>() : 0; };
  const auto rows = [&](const MaybeTensor& value) {
    return value ? value->to(score_grad.dtype()).contiguous() : at::Tensor();
  };
  const bool uses_dis = upstream.loss || upstream.dis;
  const double loss = scalar(upstream.loss), dis = scalar(upstream.dis) + factors.dis * loss;
  const double div = scalar(upstream.div);
  const at::Tensor scores = rows(upstream.class_scores), spread = rows(upstream.diversity);
  const T* own = score_grad.const_data_ptr<T>();
  const auto count = static_cast<double>(score_grad.numel());
  for (int64_t i = 0; i < score_grad.numel(); ++i) {
    const double weight = i % groups.num_classes < groups.num_small ? factors.small : factors.large;
    grad_scores[i] = static_cast<T>((uses_dis ? dis * own[i] : 0) +
                                    (scores.defined() ? scores.const_data_ptr<T>()[i] : 0));
    grad_spread[i] = static_cast<T>((div + weight * loss) / count +
                                    (spread.defined() ? spread.const_data_ptr<T>()[i] : 0));
  }
}

auto mc_loss_forward_cpu(const at::Tensor& features, const at::Tensor& target,
                         const MaybeTensor& mask, int64_t num_classes, double dis, double div,
                         double per_xi) {
  check_mc_loss(features, target, mask, num_classes, {dis, div, per_xi});
  check_labels(target, num_classes);
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const McForward result = empty_mc_forward(features, groups);
  const MaybeTensor masks = contiguous(mask);

  const McForwardArrays arrays{arrays_of(features, groups, result.winners, result.channel_stats),
                               data_or_null<const bool>(masks),
                               masks && masks->dim() == 2 ? masks->size(1) : 0,
                               result.class_scores.data_ptr(), result.diversity.data_ptr()};
  for_all_groups(passes(arrays.storage).forward, arrays);
  AT_DISPATCH_FLOATING_TYPES(result.loss.scalar_type(), "mc_loss_forward",
                             [&] { fill_terms<scalar_t>(result, target, groups, factors); });
  return result.tuple();
}

at::Tensor mc_loss_backward_cpu(const MaybeTensor& grad_loss, const MaybeTensor& grad_dis,
                                const MaybeTensor& grad_div, const MaybeTensor& grad_class_scores,
                                const MaybeTensor& grad_diversity, const at::Tensor& features,
                                const at::Tensor& winners, const at::Tensor& channel_stats,
                                const at::Tensor& score_grad, int64_t num_classes, double dis,
                                double div, double per_xi) {
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const at::Tensor grad = at::empty_like(features);
  const at::Tensor grad_scores = at::empty_like(score_grad),
                   grad_spread = at::empty_like(score_grad);
  const McUpstream upstream{grad_loss, grad_dis, grad_div, grad_class_scores, grad_diversity};
  AT_DISPATCH_FLOATING_TYPES(score_grad.scalar_type(), "mc_loss_backward", [&] {
    fill_grad_of_scores(upstream, score_grad, groups, factors, grad_scores.data_ptr<scalar_t>(),
                        grad_spread.data_ptr<scalar_t>());
  });
  const McBackwardArrays arrays{arrays_of(features, groups, winners, channel_stats), map_of(grad),
                                grad_scores.const_data_ptr(), grad_spread.const_data_ptr()};
  for_all_groups(passes(arrays.storage).backward, arrays);
  return grad;
}

TORCH_LIBRARY_IMPL(mcloss, CPU, m) {
  m.impl("mc_loss_forward", &mc_loss_forward_cpu);
  m.impl("mc_loss_backward", &mc_loss_backward_cpu);
}

}  // namespace
}  // namespace mcloss
