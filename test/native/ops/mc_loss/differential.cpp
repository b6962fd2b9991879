// mc_loss against the plain-loop twin in double, which reads the same stored (rounded) features: a
// fixed list of shapes in every dtype and layout, and random cases. Tolerances: max |difference| / max
// |reference| of each result; float16 and bfloat16 features give float32 results and a gradient
// rounded to their own dtype. A (sample, class) group where rounding may decide a maximum of softmaxes
// is left out of the gradient, and counted.
#include <ATen/ops/where.h>
#include <c10/util/accumulate.h>

#include "cases.h"
#include "ops/mc_loss/case.h"

namespace test {
namespace {

struct Dtype {
  const char* name;
  at::ScalarType type;
  double values, gradient;  // tolerances
};
constexpr Dtype kDtypes[] = {{"f64", at::kDouble, 1e-12, 1e-12},
                             {"f32", at::kFloat, 2e-6, 2e-6},
                             {"bf16", at::kBFloat16, 2e-6, 4e-3},
                             {"f16", at::kHalf, 2e-6, 5e-4}};

struct Groups {
  int64_t all = 0, left_out = 0;
} groups;

// [N, C, 1, 1]: true where the channel's group has no near tie.
at::Tensor clear_channels(const Case& input, const Twin& expected) {
  const int64_t n = input.features.size(0), c = input.features.size(1);
  const at::Tensor clear = at::empty({n, c, 1, 1}, at::kBool);
  for (int64_t s = 0; s < n; ++s) {
    int64_t channel = 0;
    for (int64_t k = 0; k < input.classes; ++k) {
      const bool near = expected.near_tie[s * input.classes + k];
      const int64_t size = c / input.classes + (k >= input.classes - c % input.classes ? 1 : 0);
      std::fill_n(clear.data_ptr<bool>() + s * c + channel, size, !near);
      channel += size;
      ++groups.all;
      groups.left_out += near;
    }
  }
  return clear;
}

// The largest difference of the results and the gradient, each in units of its tolerance.
void compare(const Case& drawn, const Dtype& dtype, std::initializer_list<Layout> layouts,
             const std::string& name) {
  Case input = drawn;
  input.features = drawn.features.to(dtype.type).to(at::kDouble);
  const Twin expected = input.expected();
  const at::Tensor clear = clear_channels(input, expected);
  const auto clear_part = [&](const at::Tensor& grad) {
    return at::where(clear, grad.to(at::kCPU, at::kDouble), 0);
  };
  const at::Tensor grad = clear_part(as_tensor(expected.grad, input.features.sizes()));
  const std::vector<int64_t> rows{input.features.size(0), input.classes};
  for (const at::DeviceType device : devices()) {
    for (const Layout layout : layouts) {
      const at::Tensor features = lay_out(input.features.to(dtype.type), layout).to(device);
      const Outcome actual = run(mcloss::mc_loss, input, features);
      const std::string what = name + " " + input.name() + " " + dtype.name + " " +
                               kLayoutNames[static_cast<int>(layout)] + " " +
                               c10::DeviceTypeName(device) + " ";
      const auto scalar = [&](const char* key, const at::Tensor& value, double reference,
                              double scale) {
        check_close(value, as_tensor({reference}, {}), dtype.values, what + key, scale);
      };
      scalar("loss", actual.results.loss, expected.loss, expected.loss_scale);
      scalar("dis", actual.results.dis, expected.dis, expected.dis_scale);
      scalar("div", actual.results.div, expected.div, expected.div);
      check_close(actual.results.class_scores, as_tensor(expected.g, rows), dtype.values,
                  what + "g");
      check_close(actual.results.diversity, as_tensor(expected.h, rows), dtype.values, what + "h");
      check(actual.grad.scalar_type() == dtype.type &&
                actual.results.loss.scalar_type() ==
                    (dtype.type == at::kDouble ? at::kDouble : at::kFloat),
            what + "dtypes");
      check_close(clear_part(actual.grad), grad, dtype.gradient, what + "grad");
    }
  }
}

struct Shape {
  std::array<int64_t, 4> sizes;
  int64_t classes;
};

// Equal and unequal groups, one channel a class, one class, groups of more than 255 channels (wider
// indices of the winners); one position, primes, whole vectors, one position more.
std::vector<Shape> shapes() {
  constexpr int64_t kChannels[][2] = {{1, 1},  {7, 1},    {7, 7},   {12, 4},  {13, 5}, {47, 20},
                                      {31, 2}, {101, 10}, {64, 63}, {300, 1}, {517, 2}};
  constexpr int64_t kMaps[][2] = {{1, 1}, {1, 7},   {2, 3},   {5, 5},  {7, 7},
                                  {4, 4}, {13, 11}, {14, 14}, {17, 1}, {31, 29}};
  std::vector<Shape> result = {{{2, 2048, 14, 14}, 200}, {{2, 2048, 7, 7}, 196},
                               {{1, 600, 14, 14}, 200},  {{1, 512, 28, 28}, 102},
                               {{1, 24, 112, 112}, 5},   {{1, 1024, 56, 56}, 3}};
  for (const auto [channels, classes] : kChannels) {
    for (const auto [height, width] : kMaps) {
      for (const int64_t samples : {1, 3}) {
        result.push_back({{samples, channels, height, width}, classes});
      }
    }
  }
  return result;
}

void all_shapes() {
  Random random(14);
  int64_t variant = 0;
  for (const Shape& shape : shapes()) {
    if (c10::multiply_integers(shape.sizes) > most_values) continue;
    Case input = draw_case(random, shape.sizes, shape.classes, variant++);
    if (variant % 2 == 0) input.features.clamp_min_(0);  // as after a ReLU: many ties of g at 0
    for (const Dtype& dtype : kDtypes) {
      compare(input, dtype, {Layout::contiguous, Layout::channels_last, Layout::slice}, "shape");
    }
  }
}

void random_cases(int count) {
  Random random(2000);
  for (int index = 0; index < count; ++index) {
    const int64_t classes = random.between(1, 12);
    const std::array<int64_t, 4> sizes{random.between(1, 3), classes + random.between(0, 40),
                                       random.between(1, 15), random.between(1, 15)};
    Case input = draw_case(random, sizes, classes, random.between(0, 11));
    if (random.between(0, 1) == 0) input.features.clamp_min_(0);
    if (random.between(0, 3) == 0) {  // channels alike: ties of both maxima
      const int64_t from = random.between(0, sizes[1] - 1), to = random.between(0, sizes[1] - 1);
      input.features.select(1, to).copy_(input.features.select(1, from).clone());
    }
    compare(input, kDtypes[random.between(0, 3)], {kLayouts[random.between(0, 2)]},
            "random " + std::to_string(index));
  }
}

}  // namespace

void mc_loss_differential() {
  test_case("mc_loss: all shapes", all_shapes);
  const int how_many = (is_soak() ? 50'000 : 2'000) / one_in;
  test_case("mc_loss: random cases", [&] { random_cases(how_many); });
  std::printf("mc_loss: %lld of %lld groups left out for a near tie\n",
              static_cast<long long>(groups.left_out), static_cast<long long>(groups.all));
  test_case("mc_loss: near ties are rare", [] {
    check(groups.left_out * 100 <= groups.all, "at most 1 % of the groups are left out");
  });
}

}  // namespace test
