// The operators against fixtures made in Python, a plain-loop twin and central differences.
// Usage: ops_test <test/fixtures>. Prints a line for each failed check, then the counts.
#include "cases.h"
#include "check.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: ops_test <the folder test/fixtures>\n");
    return 2;
  }
  const std::string fixtures = argv[1];
  try {
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
    test::losses();
    test::step();
    test::threads();
  } catch (const std::exception& error) {
    test::check(false, std::string("an exception ended the program: ") + error.what());
  }
  if (test::devices().size() == 1) std::printf("CUDA cases skipped: LibTorch sees no GPU\n");
  std::printf("%d passed, %d failed\n", test::count.passed, test::count.failed);
  return test::count.failed == 0 ? 0 : 1;
}
