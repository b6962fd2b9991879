// The loops of gather_augment/loops.h, for one kind of processor. Lines are worked on in blocks of
// three vectors, which hold a whole number of pixels. Every float operation is rounded by itself
// (compiled without contraction), so that each kind of processor gives the same bits.

#include <immintrin.h>

#include "ops/gather_augment/loops.h"
#include "ops/kernel/half_types.h"
#include "ops/kernel/isa.h"

namespace mcloss {
namespace {

using V = Vector<float>;
using IntV = Vector<int32_t>;

constexpr int64_t kBlock = kLanes<float>;  // pixels

// kBlock pixels as they lie in memory: R G B R G B ..
struct Block {
  V lanes[3];
};

// GCC 12 makes one of the compiler's own conversions byte by byte.
inline IntV load_levels(const uint8_t* from) {
#if MCLOSS_VECTOR_BYTES == 64
  return bits_as<IntV>(_mm512_maskz_cvtepu8_epi32(0xffff, load<__m128i>(from)));
#elif MCLOSS_VECTOR_BYTES == 32
  return bits_as<IntV>(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(load<int64_t>(from))));
#else
  const __m128i bytes = _mm_cvtsi32_si128(load<int32_t>(from)), zero{};
  return bits_as<IntV>(_mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero));
#endif
}

inline Block load_block(const uint8_t* from) {
  const auto lanes = [&](int k) {
    return __builtin_convertvector(load_levels(from + k * kBlock), V);
  };
  return {lanes(0), lanes(1), lanes(2)};
}

// Lane i of a block with its pixels in reverse order is lane kSource of the block.
template <int k, bool kOfThird>
struct Reversed {
  constexpr int operator()(int i) const {
    const int out = k * static_cast<int>(kBlock) + i;
    const int source = 3 * (static_cast<int>(kBlock) - 1 - out / 3) + out % 3;
    if (k == 0) return source - static_cast<int>(kBlock);  // of the second and third vector
    if (kOfThird) return source < 2 * kBlock ? i : source - static_cast<int>(kBlock);
    return source < 2 * kBlock ? source : 0;
  }
};
inline Block reversed(const Block& block) {
  const auto& [first, second, third] = block.lanes;
  const V last = pick<float, Reversed<2, false>>(first, second);
  const V middle = pick<float, Reversed<1, false>>(first, second);
  return {pick<float, Reversed<0, false>>(second, third),
          pick<float, Reversed<1, true>>(middle, third), last};
}

// Three values, one a channel, for each pixel of a block.
inline Block repeat(const float (&channels)[3]) {
  Block block;
  for (int i = 0; i < 3 * kBlock; ++i) block.lanes[i / kBlock][i % kBlock] = channels[i % 3];
  return block;
}

// ---- colour ----

struct Colour {
  float brightness = 1, contrast = 1, saturation = 1;  // 1: left as it is
  float grey = 0;  // what contrast blends with: the mean of the window after brightness

  bool changes() const { return brightness != 1 || contrast != 1 || saturation != 1; }
};

inline V whole_part(V value) {
  return __builtin_convertvector(__builtin_convertvector(value, IntV), V);
}

// PIL's Image.blend of u8 values: cut off, not rounded.
inline V blend(V from, V to, float factor) {
  IntV level = __builtin_convertvector(from + (to - from) * factor, IntV);
  level = level > 0 ? level : IntV{};
  level = level < 255 ? level : all<IntV>(255);
  return __builtin_convertvector(level, V);
}
inline Block blend(const Block& from, const Block& to, float factor) {
  return {blend(from.lanes[0], to.lanes[0], factor), blend(from.lanes[1], to.lanes[1], factor),
          blend(from.lanes[2], to.lanes[2], factor)};
}

// Lane i of a channel is lane 3 i + channel of its block, whose first two vectors hold the lanes
// below 2 kBlock.
template <int kChannel>
struct OfFirstTwo {
  constexpr int operator()(int i) const {
    return 3 * i + kChannel < 2 * kBlock ? 3 * i + kChannel : 0;
  }
};
template <int kChannel>
struct OfThird {
  constexpr int operator()(int i) const {
    return 3 * i + kChannel < 2 * kBlock ? i : 3 * i + kChannel - kBlock;
  }
};
template <int kChannel>
inline V channel_of(const Block& block) {
  const V first = pick<float, OfFirstTwo<kChannel>>(block.lanes[0], block.lanes[1]);
  return pick<float, OfThird<kChannel>>(first, block.lanes[2]);
}

// PIL's grey of each pixel. All sums are integers below 2^24, so floats hold them exactly.
inline V grey_of(const Block& block) {
  const V sum = channel_of<0>(block) * 19595.f + channel_of<1>(block) * 38470.f +
                channel_of<2>(block) * 7471.f + 32768.f;
  return whole_part(sum * 0x1p-16f);
}

// Vector k of a block that has pixel i's value in each of its channels.
template <int k>
struct Spread {
  constexpr int operator()(int i) const { return (k * static_cast<int>(kBlock) + i) / 3; }
};
template <int k>
inline V spread(V values) {
  return pick<float, Spread<k>>(values, values);
}

__attribute__((always_inline)) inline Block augmented(Block block, const Colour& colour) {
  if (colour.brightness != 1) block = blend(Block{}, block, colour.brightness);
  if (colour.contrast != 1) {
    const V grey = all<V>(colour.grey);
    block = blend({grey, grey, grey}, block, colour.contrast);
  }
  if (colour.saturation != 1) {
    const V grey = grey_of(block);
    block = blend({spread<0>(grey), spread<1>(grey), spread<2>(grey)}, block, colour.saturation);
  }
  return block;
}

// ---- a sample ----

inline int64_t clamped(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

// One sample's image, window and jitter.
struct Sample {
  const uint8_t* image;
  int64_t top, left;
  int64_t begin, end;  // the columns of the window that lie in the image
  bool flip;

  Sample(const GatherArrays& a, int64_t n) {
    image = a.pixels + (a.rows ? a.rows[n] : n) * a.image_stride;
    top = a.windows[n * 3];
    left = a.windows[n * 3 + 1];
    flip = a.windows[n * 3 + 2] != 0;
    begin = clamped(-left, 0, a.out_width);
    end = clamped(a.width - left, begin, a.out_width);
  }

  // The first pixel of the window's line y that lies in the image, or null where none does.
  const uint8_t* inside(const GatherArrays& a, int64_t y) const {
    if (top + y < 0 || top + y >= a.height || begin == end) return nullptr;
    return image + (top + y) * a.line_stride + (left + begin) * 3;
  }
};

// The sum of the greys of a line after brightness. Black is 0 and adds nothing.
inline int64_t sum_of_greys(const uint8_t* line, int64_t pixels, const Colour& brightness) {
  IntV sums{};
  const auto add = [&](const uint8_t* from) {
    const Block block = augmented(load_block(from), brightness);
    sums += __builtin_convertvector(grey_of(block), IntV);
  };
  int64_t x = 0;
  for (; x + kBlock <= pixels; x += kBlock) add(line + x * 3);
  if (x < pixels) {
    uint8_t rest[kBlock * 3] = {};
    __builtin_memcpy(rest, line + x * 3, (pixels - x) * 3);
    add(rest);
  }
  int64_t sum = 0;
  for (int i = 0; i < kBlock; ++i) sum += sums[i];
  return sum;
}

inline Colour colour_of(const GatherArrays& a, int64_t n, const Sample& sample) {
  if (!a.jitter) return {};
  const float* factor = a.jitter + n * 3;
  if (factor[1] == 1) return {factor[0], 1, factor[2]};
  int64_t sum = 0;
  for (int64_t y = 0; y < a.out_height; ++y) {
    const uint8_t* line = sample.inside(a, y);
    if (line) sum += sum_of_greys(line, sample.end - sample.begin, {factor[0]});
  }
  const int64_t pixels = a.out_height * a.out_width;
  return {factor[0], factor[1], factor[2], static_cast<float>((2 * sum + pixels) / (2 * pixels))};
}

// Line y of the sample's window, before the flip: where it lies, or made in scratch.
inline const uint8_t* line_of(const GatherArrays& a, const Sample& sample, int64_t y,
                              uint8_t* scratch) {
  const uint8_t* inside = sample.inside(a, y);
  const int64_t pixels = inside ? sample.end - sample.begin : 0;
  if (pixels == a.out_width && pixels >= kBlock) return inside;
  uint8_t* const line = scratch + kGatherMargin;
  if (pixels == 0) {
    __builtin_memset(line, 0, a.out_width * 3);
    return line;
  }
  __builtin_memset(line, 0, sample.begin * 3);
  __builtin_memcpy(line + sample.begin * 3, inside, pixels * 3);
  __builtin_memset(line + sample.end * 3, 0, (a.out_width - sample.end) * 3);
  return line;
}

// ---- lines ----

template <typename S, bool kFlipped, bool kJittered>
void fill_line(const uint8_t* line, const Colour& colour, const Block& offset, const Block& scale,
               int64_t width, S* out) {
  const auto fill = [&](int64_t x, S* to) {
    Block block = load_block(line + (kFlipped ? width - kBlock - x : x) * 3);
    if (kFlipped) block = reversed(block);
    if (kJittered) block = augmented(block, colour);
    for (int k = 0; k < 3; ++k) {
      store_as(to + k * kBlock, (block.lanes[k] - offset.lanes[k]) * scale.lanes[k]);
    }
  };
  if (width < kBlock) {
    S block[kBlock * 3];
    fill(0, block);
    __builtin_memcpy(out, block, width * 3 * sizeof(S));
    return;
  }
  int64_t x = 0;
  for (; x + kBlock <= width; x += kBlock) fill(x, out + x * 3);
  if (x < width) fill(width - kBlock, out + (width - kBlock) * 3);  // some pixels a second time
}

// What of line y of sample n is erased. The bits of 0 are 0 in every dtype.
template <typename S>
void erase(const GatherArrays& a, int64_t n, int64_t y, S* line) {
  if (!a.erased) return;
  const int32_t* rectangle = a.erased + n * 4;
  if (y < rectangle[0] || y >= rectangle[0] + rectangle[2]) return;
  __builtin_memset(line + rectangle[1] * 3, 0, rectangle[3] * 3 * sizeof(S));
}

template <typename S>
void fill_lines(const GatherArrays& a, int64_t first, int64_t last, uint8_t* scratch) {
  const Block offset = repeat(a.offset), scale = repeat(a.scale);
  while (first < last) {
    const int64_t n = first / a.out_height, end = (n + 1) * a.out_height;
    const Sample sample(a, n);
    const Colour colour = colour_of(a, n, sample);
    const bool jittered = colour.changes();
    const auto flipped = jittered ? &fill_line<S, true, true> : &fill_line<S, true, false>;
    const auto straight = jittered ? &fill_line<S, false, true> : &fill_line<S, false, false>;
    const auto fill = sample.flip ? flipped : straight;
    for (; first < last && first < end; ++first) {
      const int64_t y = first - n * a.out_height;
      const uint8_t* line = line_of(a, sample, y, scratch);
      S* out = static_cast<S*>(a.out) + first * a.out_width * 3;
      fill(line, colour, offset, scale, a.out_width, out);
      erase(a, n, y, out);
    }
  }
}

constexpr GatherLines kGatherLines[] = {&fill_lines<float>, &fill_lines<BFloat16>,
                                        &fill_lines<Float16>};

}  // namespace

const GatherLines* MCLOSS_FOR_ISA(gather_lines)() { return kGatherLines; }

}  // namespace mcloss
