// gather_augment by its definition in double, from a store that 32 bits cannot address, and what it
// refuses.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/randint.h>

#include <cmath>
#include <limits>

#include "cases.h"
#include "check.h"
#include "ops/gather_augment.h"
#include "ops/gather_augment/normalisation.h"
#include "ops/operator.h"

namespace test {
namespace {

using mcloss::gather_augment;
using mcloss::GatherOptions;
using mcloss::MaybeTensor;

// A store of more than 2^32 bytes, of which two images are ever touched.
void large_store() {
  const at::Tensor store = at::empty({3000, 800, 600, 3}, at::kByte);
  const at::Tensor image = at::randint(0, 256, {2, 800, 600, 3}, at::kByte);
  store[1].copy_(image[0]);
  store[2999].copy_(image[1]);
  const at::Tensor windows = at::randint(0, 2, {2, 3}, at::kInt);
  const at::Tensor rows = at::full({2}, 1, at::kInt);
  rows[1] = 2999;
  const GatherOptions options{790, 590, kMean, kStd};
  check(gather_augment(store, rows, windows, {}, options)
            .equal(gather_augment(image, {}, windows, {}, options)),
        "gather_augment from a store of 4.3 GB");
}

void definition() {
  const at::Tensor pixels = at::arange(256, at::kByte).view({1, 16, 16, 1}).expand({1, 16, 16, 3});
  const at::Tensor windows = at::full({1, 3}, 0, at::kInt);
  const at::Tensor result = gather_augment(pixels, {}, windows, {}, {16, 16, kMean, kStd});
  const at::Tensor out = at::full_like(result, 9);
  mcloss::gather_augment_into(out, pixels, {}, windows, {}, {16, 16, kMean, kStd});
  check(out.equal(result), "written into a given tensor: the same bits");
  double worst = 0;
  for (int64_t v = 0; v < 256; ++v) {
    for (int64_t c = 0; c < 3; ++c) {
      const double exact = (v / 255.0 - double{kMean[c]}) / double{kStd[c]};
      worst = std::max(worst, std::abs(result[0][c][v / 16][v % 16].item<double>() - exact));
    }
  }
  check(worst <= 1e-6,
        "gather_augment by definition: off by " + std::to_string(worst * 1e6) + "e-6");
}

void refusals() {
  const at::Tensor pixels = at::randint(0, 256, {4, 7, 9, 3}, at::kByte);
  const at::Tensor windows = at::randint(0, 2, {4, 3}, at::kInt);
  const at::Tensor rows = at::randint(0, 4, {4}, at::kInt);
  const at::Tensor jitter = at::full({4, 3}, 1.5, at::kFloat);
  const GatherOptions good{5, 6, kMean, kStd};
  const auto refuse = [](const std::string& word, const at::Tensor& p, const MaybeTensor& r,
                         const at::Tensor& w, const MaybeTensor& j, const GatherOptions& options,
                         const MaybeTensor& e = {}) {
    check_error("E_ARGUMENT", "gather_augment: expected " + word,
                [&] { gather_augment(p, r, w, j, options, e); });
  };
  for (const at::Tensor& bad : {pixels.to(at::kFloat), pixels[0], pixels.narrow(3, 0, 2),
                                pixels.narrow(0, 0, 0), pixels.narrow(1, 0, 0)}) {
    refuse("u8 pixels", bad, rows, windows, jitter, good);
  }
  for (const at::Tensor& bad :
       {windows.to(at::kLong), windows[0], windows.narrow(1, 0, 2), windows.narrow(0, 0, 0)}) {
    refuse("int32 windows", pixels, {}, bad, {}, good);
  }
  refuse("a window for each image", pixels, {}, windows.narrow(0, 0, 3), {}, good);
  for (const at::Tensor& bad : {rows.to(at::kLong), rows.narrow(0, 0, 3), rows.view({4, 1})}) {
    refuse("int32 rows", pixels, bad, windows, {}, good);
  }
  for (const int64_t row : {-1, 4, 0x7fffffff, -0x7fffffff - 1}) {
    const at::Tensor bad = rows.clone();
    bad[3] = row;
    refuse("rows 0..M-1", pixels, bad, windows, {}, good);
  }
  for (const at::Tensor& bad : {jitter.to(at::kDouble), jitter.narrow(0, 0, 3), jitter[0]}) {
    refuse("float32 jitter", pixels, rows, windows, bad, good);
  }
  for (const double factor : {-0.5, 257.0, double(INFINITY), -double(INFINITY), double(NAN)}) {
    for (int64_t column = 0; column < 3; ++column) {
      const at::Tensor bad = jitter.clone();
      bad[3][column] = factor;
      refuse("jitter factors 0..256", pixels, rows, windows, bad, good);
    }
  }
  const at::Tensor erased = at::full({4, 4}, 1, at::kInt);
  for (const at::Tensor& bad : {erased.to(at::kLong), erased.narrow(0, 0, 3), erased[0]}) {
    refuse("int32 erased", pixels, rows, windows, {}, good, bad);
  }
  for (const auto& [column, value] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {0, -1}, {0, 5}, {1, 6}, {2, 5}, {3, 6}, {3, -1}, {2, 0x7fffffff}}) {
    const at::Tensor bad = erased.clone();
    bad[3][column] = value;
    refuse("rectangles to erase inside the output of 5 x 6", pixels, rows, windows, {}, good, bad);
  }
  constexpr int64_t kLong = std::numeric_limits<int64_t>::max();
  for (const auto& [height, width] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {0, 6}, {5, 0}, {-1, 6}, {kLong, 6}, {5, (1 << 24) + 1}}) {
    refuse("an output of 1 x 1", pixels, rows, windows, {}, {height, width, kMean, kStd});
  }
  refuse("dtype", pixels, rows, windows, {}, {5, 6, kMean, kStd, at::kDouble});
  for (const float bad : {0.f, -1.f, INFINITY, NAN, 1e-42f}) {
    refuse("three finite means", pixels, rows, windows, {}, {5, 6, kMean, {1, bad, 1}});
  }
  refuse("three finite means", pixels, rows, windows, {}, {5, 6, {1, NAN, 1}, kStd});
  const auto meta = [](const at::Tensor& tensor) { return tensor.to(at::kMeta); };
  refuse("int32 windows", pixels, {}, meta(windows), {}, good);
  refuse("int32 rows", pixels, meta(rows), windows, {}, good);
  refuse("float32 jitter", pixels, rows, windows, meta(jitter), good);
  refuse("int32 erased", pixels, rows, windows, {}, good, meta(erased));
  if (at::hasCUDA()) refuse("int32 windows", pixels, {}, windows.cuda(), {}, good);
}

// Tables that are on the GPU already: the same bits, and NaN for a row that nobody has looked at.
void tables_on_the_gpu() {
  const at::Tensor pixels = at::randint(0, 256, {4, 7, 9, 3}, at::kByte);
  const at::Tensor windows = at::randint(0, 2, {3, 3}, at::kInt);
  const at::Tensor rows = at::randint(0, 4, {3}, at::kInt);
  const at::Tensor jitter = at::full({3, 3}, 1.5, at::kFloat);
  const at::Tensor erased = at::full({3, 4}, 1, at::kInt);
  const GatherOptions options{5, 6, kMean, kStd};
  const at::Tensor expected = gather_augment(pixels, rows, windows, jitter, options, erased);
  const auto on_gpu = [&](const at::Tensor& given_rows) {
    return gather_augment(pixels.cuda(), given_rows.cuda(), windows.cuda(), jitter.cuda(), options,
                          erased.cuda())
        .cpu();
  };
  check(on_gpu(rows).equal(expected), "gather_augment with its tables on the GPU");
  for (const int64_t row : {-1, 4, 0x7fffffff}) {
    const at::Tensor bad = rows.clone();
    bad[1] = row;
    const at::Tensor result = on_gpu(bad);
    check(result[1].isnan().all().item<bool>() && result[0].equal(expected[0]) &&
              result[2].equal(expected[2]),
          "gather_augment of a row outside, on the GPU: NaN");
  }
}

}  // namespace

void gather_augment_edges() {
  test_case("gather_augment: definition", definition);
  test_case("gather_augment: large store", large_store);
  test_case("gather_augment: refusals", refusals);
  if (at::hasCUDA()) test_case("gather_augment: tables on the GPU", tables_on_the_gpu);
}

}  // namespace test
