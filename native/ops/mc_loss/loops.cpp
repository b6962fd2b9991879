// The loops of mc_loss/loops.h, for one kind of processor: the readable statement of the mathematics
// (docs/mc-loss.md). The map is read once, twice where a class has more channels than a block.
//
//   g_i = 1 / P * sum_p max_c mask_c F_c(p)         S_c = softmax over positions of F_c
//   h_i = sum_p max_c S_c(p)
//   d g_i / d F_c(p) = 1 / P  where c is the first maximum at p and not masked, else 0
//   d h_i / d F_c(p) = S_c(p) * ([c is the first maximum at p] - sum of S_c where c is it)

#include "ops/kernel/isa.h"
#include "ops/mc_loss/rows.h"

namespace mcloss {
namespace {

constexpr int kMasked = -1;  // kNoChannel

// The largest value at every position so far, and the first channel of the group that has it. NaN is
// left out: the caller knows which rows have one. Padding is -infinity, and 0 in the exponentials.
template <typename T>
struct Best {
  T* value;         // [padded]
  Int<T>* channel;  // [padded]

  void reset(int64_t padded) const {
    for (int64_t p = 0; p < padded; ++p) {
      value[p] = -T(__builtin_inff());
      channel[p] = 0;
    }
  }
  double sum(int64_t positions, int64_t padded) const {
    for (int64_t p = positions; p < padded; ++p) value[p] = 0;
    double sum[1] = {};
    add_up<T>(padded, sum, [&](int64_t p, auto& lanes) { lanes[0] += load<Vector<T>>(value + p); });
    return sum[0];
  }
};

// A row that takes part in a maximum, multiplied by scale.
template <typename T>
struct Candidate {
  const T* row;
  T scale;
  Int<T> channel;
};

template <typename T>
inline void take_largest(const Best<T>& best, const Candidate<T>* candidates, int64_t count,
                         int64_t padded) {
  for (int64_t p = 0; p < padded; p += kLanes<T>) {
    auto value = load<Vector<T>>(best.value + p);
    auto channel = load<Vector<Int<T>>>(best.channel + p);
    for (int64_t i = 0; i < count; ++i) {
      const Vector<T> other = load<Vector<T>>(candidates[i].row + p) * candidates[i].scale;
      const auto larger = other > value;
      value = larger ? other : value;
      channel = larger ? all<Vector<Int<T>>>(candidates[i].channel) : channel;
    }
    store(best.value + p, value);
    store(best.channel + p, channel);
  }
}

template <typename T>
inline T largest_of(const T* row, int64_t padded) {
  Vector<T> largest = load<Vector<T>>(row);
  for (int64_t p = kLanes<T>; p < padded; p += kLanes<T>) {
    const auto values = load<Vector<T>>(row + p);
    largest = values > largest ? values : largest;
  }
  return fold<T>(largest, [](auto a, auto b) { return a > b ? a : b; });
}

// exp(row - largest) into exponentials; returns its sum. Meanwhile it prefetches channel `ahead`, where the
// memory would otherwise rest.
template <typename S, typename T>
inline double exponentiate(const T* row, T largest, T* exponentials, int64_t padded,
                           const SampleMap<S>& map, int64_t ahead) {
  double sum[1] = {};
  add_up<T>(padded, sum, [&](int64_t p, auto& lanes) {
    if (map.has_rows) __builtin_prefetch(map.at(ahead, p));
    const auto exponential = exp_of_nonpositive<T>(load<Vector<T>>(row + p) - largest);
    store(exponentials + p, exponential);
    lanes[0] += exponential;
  });
  return sum[0];
}

// The sums of the exponentials where channel `from` is the best, and where it is not.
template <typename T>
inline void add_won_and_lost(const Best<T>& best, Int<T> from, const T* exponentials,
                             int64_t padded, double (&sums)[2]) {
  const auto wanted = all<Vector<Int<T>>>(from);
  add_up<T>(padded, sums, [&](int64_t p, auto& lanes) {
    const auto wins = load<Vector<Int<T>>>(best.channel + p) == wanted;
    const auto values = load<Vector<T>>(exponentials + p);
    lanes[0] += wins ? values : Vector<T>{};
    lanes[1] += wins ? Vector<T>{} : values;
  });
}

template <typename T>
inline bool has_nan(const T* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] != values[i]) return true;
  }
  return false;
}

// Channels of a map as rows in a buffer, read when they are asked for.
template <typename S, typename T>
struct RowBlock {
  const SampleMap<S>& map;
  const GroupLayout& groups;
  const int64_t padded, capacity;
  T* const rows;
  int64_t begin = 0, end = 0;

  // The rows of channels from..to - 1 of class cls. Where channels lie next to each other in memory, whole
  // classes up to last - 1 are read with them.
  const T* get(int64_t from, int64_t to, int64_t cls, int64_t last) {
    if (from < begin || to > end) {
      begin = from;
      end = to;
      while (!map.has_rows && ++cls < last && groups.begin(cls + 1) <= from + capacity) {
        end = groups.begin(cls + 1);
      }
      read_rows(map, begin, end - begin, rows, padded);
    }
    return rows + (from - begin) * padded;
  }
};

// S: as stored; T: as computed; I: of the winners.
template <typename S, typename T, typename I>
void forward(const McForwardArrays& arrays, int64_t sample, int64_t first, int64_t last,
             void* scratch) {
  const GroupLayout& groups = arrays.groups;
  const SampleMap<S> map(arrays.features, sample, arrays.height, arrays.width);
  const int64_t positions = map.positions, padded = whole_vectors(positions);
  const int64_t capacity = mc_block_channels(positions, sizeof(T));

  T* const zeros = static_cast<T*>(scratch);
  const Best<T> score{zeros + padded, reinterpret_cast<Int<T>*>(zeros + 2 * padded)};
  const Best<T> spread{zeros + 3 * padded, reinterpret_cast<Int<T>*>(zeros + 4 * padded)};
  T* const exponentials = zeros + 5 * padded;
  RowBlock<S, T> block{map, groups, padded, capacity, exponentials + capacity * padded};
  Candidate<T> scores[kMcBlockChannels + 1], spreads[kMcBlockChannels];
  for (int64_t p = 0; p < padded; ++p) zeros[p] = 0;

  const int64_t plane = arrays.num_samples * groups.num_channels;
  T* const largest = static_cast<T*>(arrays.channel_stats) + sample * groups.num_channels;
  T* const inverse_sum = largest + plane;
  T* const won = inverse_sum + plane;
  T* const lost = won + plane;
  const bool* mask = arrays.mask ? arrays.mask + sample * arrays.mask_stride : nullptr;

  for (int64_t cls = first; cls < last; ++cls) {
    const int64_t begin = groups.begin(cls), end = begin + groups.size(cls);
    score.reset(padded);
    spread.reset(padded);
    bool score_nan = false, spread_nan = false, offered_zero = false;
    for (int64_t from = begin; from < end; from += capacity) {
      const int64_t to = from + capacity < end ? from + capacity : end;
      const T* const rows = block.get(from, to, cls, last);
      for (int64_t c = from; c < to; ++c) {
        largest[c] = largest_of(rows + (c - from) * padded, padded);
      }
      const T* row = rows;
      T* exponential = exponentials;
      int64_t num_scores = 0;
      for (int64_t c = from; c < to; ++c, row += padded, exponential += padded) {
        const auto index = static_cast<Int<T>>(c - begin);
        const bool kept = !mask || mask[c];
        if (kept) scores[num_scores++] = {row, 1, index};
        // Of further masked channels the first has won already.
        if (!kept && !offered_zero) scores[num_scores++] = {zeros, 1, kMasked};
        offered_zero = offered_zero || !kept;
        const double sum =
            exponentiate(row, largest[c], exponential, padded, map, c + block.end - block.begin);
        inverse_sum[c] = static_cast<T>(1 / sum);
        spreads[c - from] = {exponential, inverse_sum[c], index};
        if (inverse_sum[c] != inverse_sum[c]) {  // NaN or +infinity in the row, or nothing finite
          spread_nan = true;
          score_nan = score_nan || (kept && has_nan(row, positions));
        }
      }
      take_largest(score, scores, num_scores, padded);
      take_largest(spread, spreads, to - from, padded);
    }
    for (int64_t from = begin; from < end; from += capacity) {
      const int64_t to = from + capacity < end ? from + capacity : end;
      const T* row = block.get(from, to, cls, last);
      T* exponential = exponentials;
      for (int64_t c = from; c < to; ++c, row += padded, exponential += padded) {
        // The exponentials of a class of several blocks have been overwritten.
        if (end - begin > capacity) exponentiate(row, largest[c], exponential, padded, map, c);
        const auto index = static_cast<Int<T>>(c - begin);
        double sums[2] = {};
        add_won_and_lost(spread, index, exponential, padded, sums);
        won[c] = static_cast<T>(sums[0]) * inverse_sum[c];
        lost[c] = static_cast<T>(sums[1]) * inverse_sum[c];
      }
    }
    const int64_t group = sample * groups.num_classes + cls;
    const double g = score.sum(positions, padded) / static_cast<double>(positions);
    const double h = spread.sum(positions, padded);
    static_cast<T*>(arrays.class_scores)[group] = score_nan ? T(__builtin_nanf("")) : T(g);
    static_cast<T*>(arrays.diversity)[group] = spread_nan ? T(__builtin_nanf("")) : T(h);
    I* const winners = static_cast<I*>(arrays.winners) + group * positions;
    I* const spread_winners = winners + arrays.num_samples * groups.num_classes * positions;
    for (int64_t p = 0; p < positions; ++p) winners[p] = static_cast<I>(score.channel[p]);
    for (int64_t p = 0; p < positions; ++p) spread_winners[p] = static_cast<I>(spread.channel[p]);
  }
}

template <typename S, typename T, typename I>
void backward(const McBackwardArrays& arrays, int64_t sample, int64_t first, int64_t last,
              void* scratch) {
  using V = Vector<T>;
  using IntV = Vector<Int<T>>;
  const GroupLayout& groups = arrays.groups;
  const SampleMap<S> map(arrays.features, sample, arrays.height, arrays.width);
  const SampleMap<S> grad(arrays.grad, sample, arrays.height, arrays.width);
  const int64_t positions = map.positions, padded = whole_vectors(positions);
  const int64_t tile = map.has_rows && grad.has_rows ? 1 : mc_block_channels(positions, sizeof(T));
  const int64_t end = groups.begin(last - 1) + groups.size(last - 1);

  auto* const score_winner = static_cast<Int<T>*>(scratch);
  auto* const spread_winner = score_winner + padded;
  T* const rows = reinterpret_cast<T*>(spread_winner + padded);
  const T* const stats = static_cast<const T*>(arrays.channel_stats) + sample * groups.num_channels;
  const int64_t plane = arrays.num_samples * groups.num_channels;

  int64_t tile_begin = 0, tile_end = 0;
  for (int64_t cls = first; cls < last; ++cls) {
    const int64_t begin = groups.begin(cls), size = groups.size(cls);
    const int64_t group = sample * groups.num_classes + cls;
    const I* const winners = static_cast<const I*>(arrays.winners) + group * positions;
    const I* const spread_winners = winners + arrays.num_samples * groups.num_classes * positions;
    for (int64_t p = 0; p < positions; ++p) score_winner[p] = winners[p];
    for (int64_t p = 0; p < positions; ++p) spread_winner[p] = spread_winners[p];
    const T score_share =
        static_cast<const T*>(arrays.grad_scores)[group] / static_cast<T>(positions);
    const T share = static_cast<const T*>(arrays.grad_diversity)[group];

    for (int64_t c = begin; c < begin + size; ++c) {
      if (c >= tile_end) {
        tile_begin = c;
        tile_end = c + tile < end ? c + tile : end;
        read_rows(map, tile_begin, tile_end - tile_begin, rows, padded);
      }
      T* const row = rows + (c - tile_begin) * padded;
      const T largest = stats[c], inverse_sum = stats[plane + c];
      const V winning = all<V>(share * stats[3 * plane + c]);
      const V losing = all<V>(-share * stats[2 * plane + c]);
      const V scored = all<V>(score_share);
      const IntV index = all<IntV>(static_cast<Int<T>>(c - begin));
      for (int64_t p = 0; p < padded; p += kLanes<T>) {
        const V softmax = exp_of_nonpositive<T>(load<V>(row + p) - largest) * inverse_sum;
        const V spread = softmax * (load<IntV>(spread_winner + p) == index ? winning : losing);
        store(row + p, spread + (load<IntV>(score_winner + p) == index ? scored : V{}));
      }
      if (c + 1 == tile_end) write_rows(rows, padded, grad, tile_begin, tile_end - tile_begin);
    }
  }
}

template <typename S, typename T>
void forward_of(const McForwardArrays& arrays, int64_t sample, int64_t first, int64_t last,
                void* scratch) {
  const auto pass = arrays.wide_winners ? &forward<S, T, int32_t> : &forward<S, T, uint8_t>;
  pass(arrays, sample, first, last, scratch);
}

template <typename S, typename T>
void backward_of(const McBackwardArrays& arrays, int64_t sample, int64_t first, int64_t last,
                 void* scratch) {
  const auto pass = arrays.wide_winners ? &backward<S, T, int32_t> : &backward<S, T, uint8_t>;
  pass(arrays, sample, first, last, scratch);
}

constexpr McPasses kPasses[] = {{&forward_of<double, double>, &backward_of<double, double>},
                                {&forward_of<float, float>, &backward_of<float, float>},
                                {&forward_of<BFloat16, float>, &backward_of<BFloat16, float>},
                                {&forward_of<Float16, float>, &backward_of<Float16, float>}};

}  // namespace

const McPasses* MCLOSS_FOR_ISA(mc_passes)() { return kPasses; }

}  // namespace mcloss
