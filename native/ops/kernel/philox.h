// Philox4x32-10 (Salmon et al., SC 2011): the one generator of the whole product, the same bits in
// TypeScript (lib/random.ts), C++ and CUDA. key = run seed; counter = (step or epoch, sample or 0,
// draw >> 2, purpose); word draw & 3.
#pragma once

#include <array>
#include <cstdint>

#include "ops/kernel/host_device.h"

namespace mcloss {

// The purposes; lib/random.ts has the same list. Each has a sequence of its own.
enum class Purpose : uint32_t {
  order = 0,
  window = 1,
  flip = 2,
  cwa_mask = 3,
  dropout = 4,
  drawing = 5,
  jitter = 6,
  erasing = 7,
  validation = 8,
  tuning = 9
};

struct PhiloxWords {
  uint32_t word[4];
};

MCLOSS_HOST_DEVICE inline PhiloxWords philox4x32_10(PhiloxWords counter, uint32_t key0,
                                                    uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Draw number `draw` of (seed, step, sample, purpose): 32 uniform bits.
MCLOSS_HOST_DEVICE inline uint32_t philox_draw(uint64_t seed, uint32_t step, uint32_t sample,
                                               uint32_t draw, Purpose purpose) {
  const PhiloxWords words =
      philox4x32_10({{step, sample, draw >> 2, static_cast<uint32_t>(purpose)}},
                    static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return words.word[draw & 3];
}

}  // namespace mcloss
