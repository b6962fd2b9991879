// What the bilinear head makes of a feature map F [N, C, L]: for every pair of channels how they go
// together, as the upper triangle [N, C (C + 1) / 2] of a symmetric matrix, row by row. float64 stays,
// anything else becomes float32, and autocast is not looked at. A map of zeros has finite gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace mcloss {

// B-CNN (Lin et al., ICCV 2015): B = F F^T / L, signed root, length 1. With
//   s(v) = sign(v) (sqrt(|v| + eps) - sqrt(eps))
// the vector is s(B) of the triangle, off the diagonal times sqrt(2), divided by its length. So inner
// products are those of the whole flattened matrix. features: [N, C, H, W].
constexpr double bilinear_eps = 1e-5;
at::Tensor bilinear_pooling(const at::Tensor& features, double eps = bilinear_eps);

// iSQRT-COV (Li et al., CVPR 2018): the square root of the covariance of F over positions, by five steps
// of Newton and Schulz. The triangle is plain, as the authors'.
at::Tensor isqrt_pooling(const at::Tensor& features);

}  // namespace mcloss
