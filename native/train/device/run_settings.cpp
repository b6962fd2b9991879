#include "train/device/run_settings.h"

#include <ATen/Context.h>
#include <c10/util/env.h>

namespace mcloss {

void apply_settings(const RunSettings& settings) {
  at::Context& context = at::globalContext();
  const bool deterministic = settings.deterministic;
  // cuBLAS is deterministic only with a workspace of fixed size, read when its first handle is made.
  if (deterministic) c10::utils::set_env("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/false);
  context.setBenchmarkCuDNN(settings.cudnn_benchmark && !deterministic);
  context.setDeterministicCuDNN(deterministic);
  context.setDeterministicMkldnn(deterministic);
  // An operator that has no deterministic form warns (train/device/warnings.h) and runs.
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/true);
  context.setDeterministicFillUninitializedMemory(false);  // a pass over every new tensor
  // On a processor that it does not know it prints at every call, and elsewhere it serves single images.
  context.setUserEnabledNNPACK(false);
  context.setAllowTF32CuDNN(settings.tf32);
  context.setAllowTF32CuBLAS(settings.tf32);
}

}  // namespace mcloss
