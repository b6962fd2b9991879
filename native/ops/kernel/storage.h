// How the CPU kernels' tensors are stored. Sums are double for f64, else float or more.
#pragma once

namespace mcloss {

enum class Storage { f64, f32, bf16, f16 };

}  // namespace mcloss
