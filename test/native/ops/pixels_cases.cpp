// resize_u8 against PIL's results.
#include "cases.h"
#include "check.h"
#include "fixture_file.h"
#include "ops/resize.h"

namespace test {
namespace {

void resize(const std::string& folder) {
  const auto file = read_fixture(folder + "/cases.safetensors");
  at::Tensor image;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "image") image = tensor;
  }
  // The same pixels as a window of a larger image.
  const at::Tensor larger = image.new_empty({image.size(0), image.size(1) + 5, 3});
  const at::Tensor view = larger.narrow(1, 2, image.size(1));
  view.copy_(image);
  for (const auto& [name, expected] : file.tensors) {
    if (name == "image") continue;
    for (const at::Tensor& input : {image, view}) {
      const at::Tensor actual = mcloss::resize_u8(input, expected.size(0), expected.size(1));
      check(actual.scalar_type() == at::kByte && actual.is_contiguous(), "resize " + name + ": u8");
      check_close(actual, expected, 1, "resize to " + name, 1);
    }
  }
  check(mcloss::resize_u8(image, image.size(0), image.size(1)).is_same(image), "resize to itself");
  check_error("E_ARGUMENT", "resize", [&] { mcloss::resize_u8(image, 0, 4); });
  check_error("E_ARGUMENT", "resize", [&] { mcloss::resize_u8(image.to(at::kFloat), 4, 4); });
}

}  // namespace

void pixels(const std::string& folder) {
  test_case("pixels: resize", [&] { resize(folder); });
}

}  // namespace test
