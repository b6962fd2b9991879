// mc_loss against test/fixtures/mc-loss (numpy, float64): every dtype in every layout on every device.
// Tolerances are max |difference| / max |reference|; bfloat16 features give float32 values and a
// bfloat16 gradient. No fixture has a near tie of softmaxes (its maker refuses them).
#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "ops/mc_loss.h"
#include "ops/mc_loss/twin.h"

namespace test {
namespace {

struct FixtureDtype {
  const char* suffix;
  at::ScalarType type;
  double values, gradient;  // tolerances
};
constexpr FixtureDtype kFixtureDtypes[] = {{"f64", at::kDouble, 1e-12, 1e-12},
                                           {"f32", at::kFloat, 2e-6, 2e-6},
                                           {"bf16", at::kBFloat16, 2e-6, 1.6e-2}};

void fixture(const std::string& path) {
  const auto file = read_fixture(path);
  const std::map<std::string, at::Tensor> tensors(file.tensors.begin(), file.tensors.end());
  const auto& metadata = file.metadata;
  const double first = std::stod(metadata.at("first")), second = std::stod(metadata.at("second"));
  mcloss::McWeights weights;
  const bool paper = metadata.at("form") == "paper";
  weights.form = paper ? mcloss::LossForm::paper : mcloss::LossForm::official;
  (paper ? weights.mu : weights.alpha) = first;
  (paper ? weights.lambda : weights.beta) = second;
  std::optional<at::Tensor> mask;
  if (tensors.count("mask")) mask = tensors.at("mask").to(at::kBool);

  for (const at::DeviceType device : devices()) {
    for (const FixtureDtype& dtype : kFixtureDtypes) {
      for (const Layout layout : kLayouts) {
        const std::string suffix = std::string(".") + dtype.suffix;
        const at::Tensor features = lay_out(tensors.at("features" + suffix), layout).to(device);
        features.set_requires_grad(true);
        const auto result = mcloss::mc_loss(
            features, tensors.at("target").to(device), std::stoll(metadata.at("num_classes")),
            mask ? std::optional(mask->to(device)) : mask, mcloss::mc_terms(weights));
        result.loss.backward();
        const std::string name = std::filesystem::path(path).stem().string() + suffix + " " +
                                 kLayoutNames[static_cast<int>(layout)] + " " +
                                 c10::DeviceTypeName(device) + " ";
        const auto compare = [&](const char* key, const at::Tensor& actual, double tolerance,
                                 double scale = 0) {
          check_close(actual, tensors.at(key + suffix), tolerance, name + key, scale);
        };
        check(features.scalar_type() == dtype.type && features.grad().scalar_type() == dtype.type,
              name + "dtype of the gradient");
        compare("g", result.class_scores, dtype.values);
        compare("h", result.diversity, dtype.values);
        compare("dis", result.dis, dtype.values);
        compare("div", result.div, dtype.values);
        compare("loss", result.loss, dtype.values,
                tensors.at("loss_scale" + suffix).item<double>());
        compare("grad", features.grad(), dtype.gradient);
      }
    }
  }
}

void fixtures(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  check(paths.size() >= 10, "ten fixtures in " + folder);
  for (const std::string& path : paths) fixture(path);
}

}  // namespace

void mc_loss_fixtures(const std::string& folder) {
  test_case("mc_loss: fixtures", [&] { fixtures(folder); });
}

}  // namespace test
