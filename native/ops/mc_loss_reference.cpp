// mc_scores composed of LibTorch's own operators, for devices that have no kernel of ours, and to
// hold our kernels against. Classes of equal size form one dense block [N, classes, xi, H * W]; the
// groups have at most two sizes, so two slices do.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/max.h>
#include <ATen/ops/softmax.h>

#include "ops/channel_groups.h"
#include "ops/mc_loss.h"

namespace mcloss {
namespace {

// [N, C, H * W] -> [N, K]: the sum over positions of the largest channel of each class.
at::Tensor sum_of_maxima(const at::Tensor& maps, const ChannelGroups& groups) {
  const int64_t num_large = groups.num_classes - groups.num_small;
  const int64_t boundary = groups.num_small * groups.small_size;
  const auto block = [&](int64_t begin, int64_t classes, int64_t xi) {
    const at::Tensor grouped = maps.narrow(1, begin, classes * xi).unflatten(1, {classes, xi});
    // max over a dimension, unlike amax, gives the whole gradient to the first of equal maxima.
    return std::get<0>(grouped.max(2)).sum(-1);
  };
  const at::Tensor small = block(0, groups.num_small, groups.small_size);
  if (num_large == 0) return small;
  return at::cat({small, block(boundary, num_large, groups.small_size + 1)}, 1);
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> mc_scores_reference(const at::Tensor& features,
                                                       const std::optional<at::Tensor>& mask,
                                                       int64_t num_classes) {
  check_mc_scores(features, mask, num_classes);
  const ChannelGroups groups(features.size(1), num_classes);
  const auto dtype = features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  // Contiguous rows: equal channels then have equal softmaxes to the last bit, whatever the layout.
  const at::Tensor maps = features.to(dtype).flatten(2).contiguous();
  const at::Tensor attended = mask ? maps.masked_fill(mask->logical_not().unsqueeze(-1), 0) : maps;
  const at::Tensor class_scores =
      sum_of_maxima(attended, groups) / static_cast<double>(maps.size(2));
  return {class_scores, sum_of_maxima(at::softmax(maps, -1), groups)};
}

}  // namespace mcloss
