// The operators and the networks against fixtures made in Python, a plain-loop twin and central differences.
// Usage: ops_test <test/fixtures> [--operators]. Prints a line for each failed check and case, then the
// counts. --operators: without networks, losses and the step.
#include <ATen/Context.h>

#include "cases.h"
#include "check.h"
#include "train/device/kept_memory.h"

int main(int argc, char** argv) {
  const bool all = argc == 2;
  if (!all && !(argc == 3 && std::string(argv[2]) == "--operators")) {
    std::fprintf(stderr, "usage: ops_test <the folder test/fixtures> [--operators]\n");
    return 2;
  }
  mcloss::keep_freed_memory();                      // as the add-on does
  at::globalContext().setUserEnabledNNPACK(false);  // it warns at every call on some processors
  const std::string fixtures = argv[1];
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
  test::winograd_conv_cases();
  test::pixels(fixtures + "/resize");
  test::threads();
  if (all) {
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
  if (test::devices().size() == 1) std::printf("CUDA cases skipped: LibTorch sees no GPU\n");
  const auto [passed, failed, checks, failed_checks] = test::count;
  std::printf("cases %d, values compared %lld, of them wrong %lld\n", passed + failed,
              static_cast<long long>(checks), static_cast<long long>(failed_checks));
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
