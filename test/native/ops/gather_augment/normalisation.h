// What the cases of gather_augment normalise with: ImageNet's means and standard deviations.
#pragma once

#include <array>

namespace test {

constexpr std::array<float, 3> kMean{0.485f, 0.456f, 0.406f}, kStd{0.229f, 0.224f, 0.225f};

}  // namespace test
