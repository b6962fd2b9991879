// Philox, channel groups, the channel-wise attention mask and the dropout mask.
#include "ops/channel_groups.h"

#include "cases.h"
#include "check.h"
#include "ops/cwa_mask.h"
#include "ops/half_dropout.h"
#include "ops/kernel/philox.h"
#include "ops/seed_step.h"

namespace test {
namespace {

using mcloss::ChannelGroups;
using mcloss::Keep;
using mcloss::MaskScope;

// Known-answer vectors of the Random123 distribution (philox4x32, 10 rounds).
void philox() {
  struct Vector {
    mcloss::PhiloxWords counter;
    uint32_t key0, key1;
    mcloss::PhiloxWords answer;
  };
  const Vector vectors[] = {
      {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
       0xffffffff,
       0xffffffff,
       {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       0xa4093822,
       0x299f31d0,
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}};
  for (const Vector& vector : vectors) {
    const auto words = mcloss::philox4x32_10(vector.counter, vector.key0, vector.key1);
    for (int i = 0; i < 4; ++i) {
      check(words.word[i] == vector.answer.word[i],
            "philox known answer, word " + std::to_string(i));
    }
  }
}

// docs/mc-loss.md, "Channel groups".
void sizes() {
  struct Row {
    int64_t channels, classes, num_small, small_size, num_large;
  };
  const Row rows[] = {{2048, 200, 152, 10, 48}, {2048, 100, 52, 20, 48}, {2048, 102, 94, 20, 8},
                      {2048, 196, 108, 10, 88}, {512, 200, 88, 2, 112},  {512, 100, 88, 5, 12},
                      {512, 102, 100, 5, 2},    {512, 196, 76, 2, 120},  {600, 200, 200, 3, 0}};
  for (const Row& row : rows) {
    const ChannelGroups groups(row.channels, row.classes);
    const std::string name = std::to_string(row.channels) + " / " + std::to_string(row.classes);
    check(groups.num_small == row.num_small && groups.small_size == row.small_size, name);
    int64_t large = 0, next = 0;
    for (int64_t cls = 0; cls < row.classes; ++cls) {
      large += groups.size(cls) == row.small_size + 1;
      check(groups.begin(cls) == next, name + ": class " + std::to_string(cls) + " begins");
      next += groups.size(cls);
    }
    check(large == row.num_large && next == row.channels, name + ": the large groups");
  }
  const ChannelGroups cub(2048, 200), cars(2048, 196);
  check(cub.begin(151) == 1510 && cub.begin(152) == 1520 && cub.size(152) == 11, "CUB boundary");
  check(cars.begin(107) == 1070 && cars.begin(108) == 1080 && cars.size(108) == 11,
        "Cars boundary");
  check_error("E_ARGUMENT", "3 channels for 4 classes", [] { ChannelGroups(3, 4); });
  check_error("E_ARGUMENT", "0 classes", [] { ChannelGroups(3, 0); });
}

void kept() {
  struct Row {
    int64_t xi;
    double ratio;
    int64_t kept;
  };
  const Row rows[] = {{1, 0, 1},    {2, 0, 1},    {3, 0, 2},       {10, 0, 5},   {11, 0, 6},
                      {10, 0.6, 6}, {11, 0.6, 7}, {3, 2.0 / 3, 2}, {3, 0.5, 2},  {1, 0.1, 1},
                      {4, 0.01, 1}, {7, 1, 7},    {1, 1, 1},       {20, 0.6, 12}};
  for (const Row& row : rows) {
    check(mcloss::kept_channels(row.xi, Keep{row.ratio}) == row.kept,
          "kept channels of " + std::to_string(row.xi) + " at " + std::to_string(row.ratio));
  }
  for (const double ratio : {-0.1, 1.01, std::nan("")}) {
    check_error("E_ARGUMENT", "ratio", [&] { mcloss::kept_channels(3, Keep{ratio}); });
  }
}

// A channel is kept when fewer than `keep` of its class come before it in (word, channel).
void mask() {
  const ChannelGroups groups(23, 5);
  const uint64_t seed = 0x123456789abcdefull;
  const Keep keep{0.6};
  const at::Tensor at = mcloss::make_seed_step(seed, 41);
  const at::Tensor rows = mcloss::cwa_mask(groups, keep, MaskScope::sample, at, 4, 2);
  const at::Tensor batch = mcloss::cwa_mask(groups, keep, MaskScope::batch, at, 4, 2);
  check(rows.sizes() == at::IntArrayRef{4, 23} && batch.sizes() == at::IntArrayRef{23},
        "mask shape");
  for (int64_t row = -1; row < 4; ++row) {  // -1: the batch mask, which is sample 0's
    const uint32_t sample = row < 0 ? 0 : static_cast<uint32_t>(row + 2);
    const auto word = [&](int64_t channel) {
      return mcloss::philox_draw(seed, 41, sample, static_cast<uint32_t>(channel),
                                 mcloss::Purpose::cwa_mask);
    };
    const bool* data = row < 0 ? batch.const_data_ptr<bool>() : rows[row].const_data_ptr<bool>();
    for (int64_t cls = 0; cls < 5; ++cls) {
      const int64_t begin = groups.begin(cls), end = begin + groups.size(cls);
      for (int64_t channel = begin; channel < end; ++channel) {
        int64_t before = 0;
        for (int64_t other = begin; other < end; ++other) {
          before +=
              word(other) < word(channel) || (word(other) == word(channel) && other < channel);
        }
        check(data[channel] == (before < mcloss::kept_channels(end - begin, keep)),
              "mask of sample " + std::to_string(sample) + ", channel " + std::to_string(channel));
      }
    }
  }
  const at::Tensor last = mcloss::cwa_mask(groups, keep, MaskScope::sample, at, 1, 5);
  check(last[0].equal(rows[3]), "a micro-batch draws the same mask as the whole batch");
  const at::Tensor moved = mcloss::make_seed_step(seed, 41);
  const auto drawn = [&] { return mcloss::cwa_mask(groups, keep, MaskScope::batch, moved, 4); };
  check(batch.equal(drawn()), "the same seed and step");
  mcloss::set_seed_step(moved, seed, 42);
  check(!batch.equal(drawn()), "step matters");
  mcloss::set_seed_step(moved, seed ^ (1ull << 40), 41);
  check(!batch.equal(drawn()), "the upper half of the seed matters");
  for (const at::DeviceType device : devices()) {
    for (const MaskScope scope : {MaskScope::batch, MaskScope::sample}) {
      // 150 channels for one class: more than a block of threads at once.
      for (const int64_t classes : {1, 7, 150}) {
        const ChannelGroups many(150, classes);
        const at::Tensor there =
            mcloss::cwa_mask(many, keep, scope, mcloss::make_seed_step(seed, 3, device), 5, 9);
        check(there.device().type() == device, "the mask is drawn on the device");
        check(there.cpu().equal(
                  mcloss::cwa_mask(many, keep, scope, mcloss::make_seed_step(seed, 3), 5, 9)),
              "the same mask on the CPU and on " + c10::DeviceTypeName(device));
      }
    }
  }
  check_error("E_ARGUMENT", "step", [&] { mcloss::make_seed_step(seed, -1); });
  check_error("E_ARGUMENT", "int64 [2]",
              [&] { mcloss::cwa_mask(groups, keep, MaskScope::batch, at::zeros({2}), 4); });
}

// Factor j of a sample is 2 where the first bit of its word is 1, else 0.
void half_dropout() {
  const uint64_t seed = 0x123456789abcdefull;
  const int64_t samples = 3, width = 50, first = 2, layer = 1;
  const at::Tensor scale =
      mcloss::half_dropout_scale(mcloss::make_seed_step(seed, 41), samples, width, first, layer);
  bool right = true;
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const uint32_t word =
          mcloss::philox_draw(seed, 41, static_cast<uint32_t>(first + i),
                              static_cast<uint32_t>(layer * width + j), mcloss::Purpose::dropout);
      right &= scale[i][j].item<float>() == ((word & 0x80000000u) != 0 ? 2.0f : 0.0f);
    }
  }
  check(right, "dropout: the factors of the words");
  for (const at::DeviceType device : devices()) {
    const at::Tensor there = mcloss::half_dropout_scale(mcloss::make_seed_step(seed, 41, device),
                                                        samples, width, first, layer);
    check(there.device().type() == device && there.cpu().equal(scale),
          "the same dropout on the CPU and on " + c10::DeviceTypeName(device));
  }
}

}  // namespace

void channel_groups() {
  test_case("channel_groups: philox", philox);
  test_case("channel_groups: sizes", sizes);
  test_case("channel_groups: kept", kept);
  test_case("channel_groups: mask", mask);
  test_case("channel_groups: half dropout", half_dropout);
}

}  // namespace test
