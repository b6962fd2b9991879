// The operators and the networks against fixtures made in Python, a plain-loop twin and central differences.
// Usage: ops_test <test/fixtures> [--operators | --kernels]. Prints a line for each failed check and case,
// then the counts. --operators: without networks, losses and the step. --kernels: the CUDA kernels alone,
// on the CPU.
#include <ATen/Context.h>

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
  test::pixels(fixtures + "/resize");
  test::threads();
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

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc == 3 ? argv[2] : "";
  if ((argc != 2 && argc != 3) || (argc == 3 && part != "--operators" && part != "--kernels")) {
    std::fprintf(stderr, "usage: ops_test <the folder test/fixtures> [--operators | --kernels]\n");
    return 2;
  }
  at::globalContext().setUserEnabledNNPACK(false);  // it warns at every call on some processors
  const std::string fixtures = argv[1];
  if (part == "--kernels") {
    test::kernels(fixtures);
  } else {
    mcloss::keep_freed_memory();  // as the add-on does
    operators(fixtures);
    if (part.empty()) all_else(fixtures);
  }
  if (test::devices().size() == 1) std::printf("CUDA cases skipped: LibTorch sees no GPU\n");
  const auto [passed, failed, checks, failed_checks] = test::count;
  std::printf("cases %d, values compared %lld, of them wrong %lld\n", passed + failed,
              static_cast<long long>(checks), static_cast<long long>(failed_checks));
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
