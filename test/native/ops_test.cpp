// The operators and the networks against fixtures made in Python, a plain-loop twin and central differences.
// Usage: ops_test <test/fixtures> [--operators | --kernels | --gpu | --gpu-small]. Prints a line for each
// failed check and case, then the counts. --operators: without networks, losses and the step. --kernels:
// the CUDA kernels alone, on the CPU. --gpu: what has a device, on the GPU alone. --gpu-small: its operators
// at small shapes, for tools that make a kernel a hundred times as slow.
#include <ATen/Context.h>

#include <cstdio>
#include <set>
#include <string>

#include "cases.h"
#include "check.h"
#include "train/device/kept_memory.h"

namespace {

void operators(const std::string& fixtures) {
  test::channel_groups();
  test::mc_loss_fixtures(fixtures + "/mc-loss");
  test::vectors();
  test::mc_loss_gradients();
  test::mc_loss_differential();
  test::mc_loss_edges();
  test::gather_augment_cases(fixtures + "/jitter");
  test::gather_augment_edges();
  test::batch_norm_act_differential();
  test::batch_norm_act_edges();
  test::batch_norm_act_parts();
  test::winograd_conv_cases();
  test::step_sums();
  test::pixels(fixtures + "/resize");
  test::threads();
}

void operators_on_gpu(const std::string& fixtures) {
  test::channel_groups();
  test::mc_loss_fixtures(fixtures + "/mc-loss");
  test::mc_loss_differential();
  test::gather_augment_cases(fixtures + "/jitter");
  test::batch_norm_act_differential();
  test::batch_norm_act_parts();
  test::step_sums();
}

// Of the cases of all_else those that take a device.
void all_else_on_gpu(const std::string& fixtures) {
  test::bilinear(fixtures + "/bilinear");
  test::losses();
  test::class_weights(fixtures + "/class-weights");
  test::optimizers(fixtures + "/optim");
}

void all_else(const std::string& fixtures) {
  test::models();
  test::bilinear(fixtures + "/bilinear");
  test::losses();
  test::class_weights(fixtures + "/class-weights");
  test::step();
  test::batch_inputs();
  test::device();
  test::kept_memory();
  test::optimizers(fixtures + "/optim");
}

int run(const std::string& fixtures, const std::string& part) {
  if (part == "--kernels") {
    test::kernels(fixtures);
    return 0;
  }
  if (part.rfind("--gpu", 0) == 0) {
    if (!at::hasCUDA()) {
      std::fprintf(stderr, "ops_test: %s needs a GPU, but LibTorch sees none\n", part.c_str());
      return 2;
    }
    test::gpu_alone = true;
    const bool small = part == "--gpu-small";
    if (small) test::small_shapes(100);
    operators_on_gpu(fixtures);
    if (!small) all_else_on_gpu(fixtures);
    return 0;
  }
  mcloss::keep_freed_memory();  // as the add-on does
  operators(fixtures);
  if (part.empty()) all_else(fixtures);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc == 3 ? argv[2] : "";
  const std::set<std::string> parts{"", "--operators", "--kernels", "--gpu", "--gpu-small"};
  if ((argc != 2 && argc != 3) || parts.count(part) == 0) {
    std::fprintf(stderr,
                 "usage: ops_test <the folder test/fixtures> "
                 "[--operators | --kernels | --gpu | --gpu-small]\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);         // a run that is stopped has said what it found
  at::globalContext().setUserEnabledNNPACK(false);  // it warns at every call on some processors
  if (const int code = run(argv[1], part)) return code;
  if (test::devices().size() == 1 && !test::gpu_alone) {
    std::printf("CUDA cases skipped: LibTorch sees no GPU\n");
  }
  const auto [passed, failed, checks, failed_checks] = test::count;
  std::printf("cases %d, values compared %lld, of them wrong %lld\n", passed + failed,
              static_cast<long long>(checks), static_cast<long long>(failed_checks));
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
