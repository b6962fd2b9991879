// The last layer of every head: logits z [N, K] of its input x [N, D], in one of three ways.
//   linear    z = W x + b                    parameters weight [K, D], bias [K]
//   cosine    z = scale * cos(x, W_k)        parameter weight [K, D]; without a scale |x| cos(x, W_k)
//   distance  z = -|x - mu_k|^2 / 2          parameter means [K, D]
#pragma once

#include "models/weight_casts.h"
#include "types.h"

namespace mcloss {

class LastLayer : public CastLayer {
 public:
  LastLayer(const ClassifierConfig& config, int64_t in, int64_t classes);

  // Norms, cosines and distances are at least float32, whatever autocast says: in bf16 a cosine
  // times 64 would be off by 0.04. x may hold rows of zeros.
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor rows;  // [K, D]: the weight or the means
  at::Tensor bias;  // [K], undefined unless linear

 private:
  const ClassifierConfig config_;
};

}  // namespace mcloss
