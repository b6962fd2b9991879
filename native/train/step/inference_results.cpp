#include "train/step/inference_results.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <string>

namespace mcloss {

EvalStats eval_stats(const at::Tensor& logits, const at::Tensor& target) {
  const int64_t five = std::min<int64_t>(5, logits.size(1));
  const at::Tensor best = std::get<1>(logits.topk(five, 1));  // [n, five], largest first
  const at::Tensor hits = best.eq(target.unsqueeze(1));
  const at::Tensor predictions = best.select(1, 0).to(at::kInt).cpu().contiguous();
  const at::Tensor log_p = logits.log_softmax(1);
  const auto log_p_of = [&](const at::Tensor& classes) {
    return log_p.gather(1, classes.unsqueeze(1));
  };
  const at::Tensor label = log_p_of(target);

  EvalStats stats;
  stats.n = logits.size(0);
  stats.top1 = hits.select(1, 0).sum().item<int64_t>();
  stats.top5 = hits.sum().item<int64_t>();
  stats.loss_sum = -label.sum().item<double>();
  stats.predicted_probabilities = floats_of(log_p_of(best.select(1, 0)).exp());
  stats.label_probabilities = floats_of(label.exp());
  const int32_t* values = predictions.const_data_ptr<int32_t>();
  stats.predictions.assign(values, values + stats.n);
  return stats;
}

std::vector<float> floats_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kFloat).cpu().contiguous();
  const float* values = host.const_data_ptr<float>();
  return {values, values + host.numel()};
}

at::Tensor maps_of(const at::Tensor& features, const std::vector<int64_t>& channels) {
  for (const int64_t channel : channels) {
    if (channel < 0 || channel >= features.size(1)) {
      throw Error("E_ARGUMENT", "features: expected channels 0.." +
                                    std::to_string(features.size(1) - 1) + " but received " +
                                    std::to_string(channel) + ".");
    }
  }
  const at::Tensor index = at::tensor(channels, at::kLong).to(features.device());
  return features.index_select(1, index);
}

}  // namespace mcloss
