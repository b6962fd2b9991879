// mc_loss composed of LibTorch's own operators, to hold the fused operator against. Classes of equal
// size form one dense block [N, classes, xi, H * W]; the groups have at most two sizes, so two
// slices do.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/max.h>
#include <ATen/ops/softmax.h>

#include "ops/mc_loss.h"
#include "ops/mc_loss/checks.h"

namespace mcloss {
namespace {

// [N, C, H * W] -> [N, K]: the sum over positions of the largest channel of each class, or of their
// mean.
at::Tensor sum_of_pooled(const at::Tensor& maps, const GroupLayout& groups, Pool pool) {
  const int64_t num_large = groups.num_classes - groups.num_small;
  const int64_t boundary = groups.num_small * groups.small_size;
  const auto block = [&](int64_t begin, int64_t classes, int64_t xi) {
    const at::Tensor grouped = maps.narrow(1, begin, classes * xi).unflatten(1, {classes, xi});
    if (pool == Pool::mean) return grouped.mean(2).sum(-1);
    // max over a dimension, unlike amax, gives the whole gradient to the first of equal maxima.
    return std::get<0>(grouped.max(2)).sum(-1);
  };
  const at::Tensor small = block(0, groups.num_small, groups.small_size);
  if (num_large == 0) return small;
  return at::cat({small, block(boundary, num_large, groups.small_size + 1)}, 1);
}

McLoss composed(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
                const MaybeTensor& mask, const McTerms& terms, Pool pool) {
  MaybeTensor local_mask;
  if (mask) local_mask = mask->to(features.device());
  check_mc_loss(features, target, local_mask, num_classes, terms);
  check_labels(target, num_classes);
  const ChannelGroups groups(features.size(1), num_classes);
  // Contiguous rows: equal channels then have equal softmaxes to the last bit, whatever the layout.
  const at::Tensor maps =
      features.to(accumulate_type(features.scalar_type())).flatten(2).contiguous();
  const at::Tensor attended =
      local_mask ? maps.masked_fill(local_mask->logical_not().unsqueeze(-1), 0) : maps;

  McLoss result;
  result.class_scores = sum_of_pooled(attended, groups, pool) / static_cast<double>(maps.size(2));
  result.diversity = sum_of_pooled(at::softmax(maps, -1), groups, pool);
  result.dis = at::cross_entropy_loss(result.class_scores, target);
  result.div = result.diversity.mean();
  const McFactors factors = mc_factors(terms, groups);
  const int64_t num_large = groups.num_classes - groups.num_small;
  const at::Tensor small = result.diversity.narrow(1, 0, groups.num_small).sum();
  const at::Tensor large = result.diversity.narrow(1, groups.num_small, num_large).sum();
  result.loss = factors.dis * result.dis + factors.constant +
                (factors.small * small + factors.large * large) /
                    static_cast<double>(result.diversity.numel());
  return result;
}

}  // namespace

McLoss mc_loss_reference(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
                         const MaybeTensor& mask, const McTerms& terms) {
  return composed(features, target, num_classes, mask, terms, Pool::max);
}

McLoss mc_loss_of_means(const at::Tensor& features, const at::Tensor& target, int64_t num_classes,
                        const MaybeTensor& mask, const McTerms& terms) {
  return composed(features, target, num_classes, mask, terms, Pool::mean);
}

}  // namespace mcloss
