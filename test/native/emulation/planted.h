// A kernel into which one fault is planted.
#pragma once

namespace test {

enum class Plant {
  none,
  uninitialised_dynamic,
  uninitialised_static,
  beyond_dynamic,
  beyond_static,
  before_tensor,
  beyond_tensor,
  write_beyond_tensor,
  divergent_barrier,
  early_end,
  divergent_shuffle,
  race,
  no_fence,
  early_last,
};

constexpr int kPlantedThreads = 64, kPlantedBlocks = 3;

// to[0] = the sum of `from` [kPlantedBlocks, kPlantedThreads]; the block that ends last adds up what each
// has written to partial [kPlantedBlocks]. done[0] is 0 before and after.
void launch_planted(Plant plant, const float* from, float* partial, unsigned* done, float* to);

}  // namespace test
