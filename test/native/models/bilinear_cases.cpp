// The bilinear pooling: golden values, plain PyTorch's by the fixtures (test/fixtures/bilinear), central
// differences, maps with zeros, layouts and half precision.
#include <ATen/autocast_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <map>

#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "models/bilinear_pooling.h"
#include "ops/mc_loss/case.h"

namespace test {
namespace {

using PoolingFunction = at::Tensor(const at::Tensor&);

at::Tensor sum_pool(const at::Tensor& features) { return mcloss::bilinear_pooling(features); }

struct NamedPool {
  const char* name;
  PoolingFunction* pool;
  double step;  // of central differences
};
// A step of sum is small beside the eps of its root, 1e-5, since that bends at 0.
constexpr NamedPool kPools[]{{"sum", sum_pool, 1e-10}, {"isqrt", mcloss::isqrt_pooling, 1e-6}};

// Of (pool(features) . direction) to the features.
at::Tensor pooling_gradient(const at::Tensor& features, const at::Tensor& direction,
                            PoolingFunction* pool) {
  const at::Tensor leaf = features.detach().clone(at::MemoryFormat::Preserve).requires_grad_();
  (pool(leaf) * direction).sum().backward();
  return leaf.grad();
}

void bilinear_golden() {
  const at::Tensor map = at::tensor({1., 2., 3., -1.}, at::kDouble).view({1, 2, 1, 2});
  const double root = std::sqrt(2.0);
  const auto pool = [](const at::Tensor& x) { return mcloss::bilinear_pooling(x, /*eps=*/0); };
  check_close(pool(map),
              at::tensor({.5423261445, .2425356250 * root, .7669649889}, at::kDouble).unsqueeze(0),
              1e-9, "bilinear: the golden vector");
  // u . (1, 2, 3, 4) of the whole matrix: of the triangle the pair has (2 + 3) / sqrt(2).
  check_close(pooling_gradient(map, at::tensor({1., 5 / root, 4.}, at::kDouble), pool),
              at::tensor({.7926908343, -.6731065004, .3919054668, .6221942340}, at::kDouble)
                  .view({1, 2, 1, 2}),
              1e-9, "bilinear: the golden gradient");
}

void isqrt_golden() {
  // Its covariance is [[2, .5], [.5, 1]]: two rows of mean 0 and length 1, mixed.
  const at::Tensor rows =
      at::tensor({1., 1., -1., -1., 1., -1., 1., -1.}, at::kDouble).view({2, 4});
  const double first = std::sqrt(2.0), second = .5 / first;
  const at::Tensor mix =
      at::tensor({first, 0., second, std::sqrt(1 - second * second)}, at::kDouble).view({2, 2});
  const at::Tensor map = mix.matmul(rows).view({1, 2, 2, 2}) + 3;
  check_close(mcloss::isqrt_pooling(map),
              at::tensor({1.39847013, .21043090, .97760833}, at::kDouble).unsqueeze(0), 1e-8,
              "isqrt: the golden vector");
}

void bilinear_fixtures(const std::string& path) {
  std::map<std::string, at::Tensor> of;
  for (const auto& [name, tensor] : read_fixture(path).tensors) of[name] = tensor;
  for (const auto& [name, features] : of) {
    if (!name.ends_with(".features")) continue;
    const std::string key = name.substr(0, name.size() - 9);
    PoolingFunction* const pool = key.starts_with("sum") ? sum_pool : mcloss::isqrt_pooling;
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const std::string what = c10::str("bilinear ", key, " ", format);
      for (const at::DeviceType device : devices()) {
        const at::Tensor map = features.to(device).contiguous(format);
        const at::Tensor vector = pool(map);
        check_close(vector, of[key + ".vector"], 1e-10, what);
        check_close(pooling_gradient(map, of[key + ".direction"].to(device), pool),
                    of[key + ".gradient"], 1e-10, what + ": gradient");
        if (of.contains(key + ".inner")) {
          check_close(vector.matmul(vector.t()), of[key + ".inner"], 1e-10,
                      what + ": inner products");
        }
      }
    }
  }
}

// Also at a channel of zeros, where a pair of products is 0.
void bilinear_differences(const NamedPool& of) {
  Random random(3);
  at::Tensor map = random.uniform({2, 4, 3, 2}) * 2 - .5;
  map.select(1, 2).zero_();
  const at::Tensor direction = random.uniform(of.pool(map).sizes()) - .5;
  const at::Tensor ours = pooling_gradient(map, direction, of.pool);
  at::Tensor central = at::zeros_like(map);
  const double step = of.step;
  for (int64_t i = 0; i < map.numel(); ++i) {
    double* const value = map.data_ptr<double>() + i;
    const double before = *value;
    const auto at_value = [&](double moved) {
      *value = moved;
      return (of.pool(map) * direction).sum().item<double>();
    };
    central.data_ptr<double>()[i] =
        (at_value(before + step) - at_value(before - step)) / (2 * step);
    *value = before;
  }
  check_close(ours, central, 1e-5, c10::str("bilinear ", of.name, ": central differences"));
  check(ours.select(1, 2).abs().max().item<double>() > 0,
        c10::str("bilinear ", of.name, ": a channel of zeros has a gradient"));
}

void bilinear_zeros(const NamedPool& of) {
  for (const double value : {0., 3., 1e-20}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      at::Tensor map = at::full({2, 5, 3, 3}, value, dtype);
      map[1].fill_(1).select(0, 0).select(0, 0).fill_(2);  // the other sample is none
      const at::Tensor vector = of.pool(map);
      const at::Tensor grad = pooling_gradient(map, at::ones_like(vector), of.pool);
      const std::string what = c10::str("bilinear ", of.name, " of ", value, " ", dtype);
      check(vector.isfinite().all().item<bool>(), what + ": finite");
      check(grad.isfinite().all().item<bool>(), what + ": a finite gradient");
      if (value == 0) {
        check(vector[0].eq(0).all().item<bool>(), what + ": 0 of zeros");
        check(grad[0].eq(0).all().item<bool>(), what + ": no gradient of zeros");
      }
    }
  }
}

// bfloat16 features are widened, so the result is float32's of the same values to the bit; the gradient
// alone is rounded. Autocast changes nothing.
void bilinear_half(const NamedPool& of) {
  Random random(4);
  const at::Tensor map = (random.uniform({2, 6, 4, 4}) * 2 - 1).to(at::kBFloat16);
  const at::Tensor wide = of.pool(map.to(at::kFloat));
  const at::Tensor direction = (random.uniform(wide.sizes()) - .5).to(at::kFloat);
  const at::Tensor leaf = map.detach().clone().requires_grad_();
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const at::Tensor narrow = of.pool(leaf);
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  (narrow * direction).sum().backward();
  const at::Tensor grad = leaf.grad();
  check(narrow.scalar_type() == at::kFloat && narrow.equal(wide),
        c10::str("bilinear ", of.name, " of bfloat16: float32's"));
  const at::Tensor exact = pooling_gradient(map.to(at::kFloat), direction, of.pool);
  check(grad.scalar_type() == at::kBFloat16 && grad.equal(exact.to(at::kBFloat16)),
        c10::str("bilinear ", of.name, " of bfloat16: the rounded gradient"));
  check_close(narrow, of.pool(map.to(at::kDouble)), 1e-5,
              c10::str("bilinear ", of.name, " of bfloat16: float64's"));
}

}  // namespace

void bilinear(const std::string& folder) {
  test_case("bilinear: golden", bilinear_golden);
  test_case("bilinear: golden isqrt", isqrt_golden);
  test_case("bilinear: fixtures", [&] { bilinear_fixtures(folder + "/cases.safetensors"); });
  for (const NamedPool& of : kPools) {
    test_case(c10::str("bilinear ", of.name, ": central differences"),
              [&] { bilinear_differences(of); });
    test_case(c10::str("bilinear ", of.name, ": zeros"), [&] { bilinear_zeros(of); });
    test_case(c10::str("bilinear ", of.name, ": half precision"), [&] { bilinear_half(of); });
  }
}

}  // namespace test
