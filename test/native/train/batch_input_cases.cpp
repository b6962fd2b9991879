// A batch on its way to the device. LibTorch's meta device stands for a GPU: tensors go there by the
// same calls, and hold no values. On the CPU the same path gives the values.
#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full_like.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "cases.h"
#include "check.h"
#include "io/pixel_store.h"
#include "ops/gather_augment/checks.h"
#include "train/step/batch_input.h"
#include "transfers.h"

namespace test {
namespace {

constexpr int64_t images = 5, samples = 3, height = 4, width = 6;
constexpr int64_t image_bytes = height * width * 3;
const mcloss::GatherOptions options{3, 4, {0.5f, 0.4f, 0.3f}, {0.2f, 0.3f, 0.4f}};

struct Buffers {
  std::vector<uint8_t> pixels = std::vector<uint8_t>(images * image_bytes);
  std::vector<int32_t> rows{4, 0, 2}, windows{0, 1, 0, -1, 2, 1, 1, 0, 1};
  std::vector<float> jitter{1, 1, 1, 1.25f, 0.5f, 2, 1, 1, 0.75f};
  std::vector<int32_t> erased{0, 0, 0, 0, 1, 1, 2, 2, 0, 3, 1, 1}, labels{7, 0, 3};

  Buffers() {
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 37 % 251);
  }

  // All images of the file, or the first `samples` of them as the batch's own.
  mcloss::Batch batch(const std::shared_ptr<const mcloss::PixelStore>& store) const {
    mcloss::Batch batch;
    batch.count = samples;
    if (store) {
      batch.store = store;
      batch.rows = rows.data();
    } else {
      batch.pixels = pixels.data();
      batch.height = height;
      batch.width = width;
    }
    batch.windows = windows.data();
    batch.jitter = jitter.data();
    batch.erased = erased.data();
    batch.labels = labels.data();
    return batch;
  }
};

std::shared_ptr<const mcloss::PixelStore> store_of(
    const std::vector<uint8_t>& pixels, mcloss::StoreMode mode = mcloss::StoreMode::ram) {
  const std::string path = std::filesystem::temp_directory_path() / "mcloss-batch-input-cases";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(pixels.data()),
             static_cast<std::streamsize>(pixels.size()));
  const mcloss::StoreLayout layout{path, images * image_bytes, 0, images, height, width, mode};
  const auto store = std::make_shared<const mcloss::PixelStore>(layout);
  std::filesystem::remove(path);
  return store;
}

at::Tensor table(const void* data, at::IntArrayRef shape, at::ScalarType dtype) {
  return at::from_blob(const_cast<void*>(data), shape, dtype);
}

void no_waits() {
  const Buffers buffers;
  const mcloss::Uploader upload(at::kMeta);
  for (const bool stored : {false, true}) {
    const mcloss::Batch batch = buffers.batch(stored ? store_of(buffers.pixels) : nullptr);
    const Transfers transfers;
    const auto [input, target] = batch_input(batch, options, upload);
    const std::string what = stored ? "batch of a store: " : "batch of its own pixels: ";
    check(Transfers::seen.across == 2, what + "the images and all tables in a copy each");
    check(Transfers::seen.blocking == 0, what + "no copy is waited for");
    check(Transfers::seen.reads == 0, what + "no value is read");
    check(Transfers::seen.on_host == 0, what + "no further copy on the host");
    check(input.is_meta() && input.sizes() == at::IntArrayRef{samples, 3, 3, 4},
          what + "the input");
    check(target.is_meta() && target.scalar_type() == at::kLong, what + "the labels");
  }
}

// As Python calls the operator: each table by itself.
void operator_does_not_wait() {
  const Buffers b;
  const at::Tensor pixels =
      at::empty({images, height, width, 3}, at::TensorOptions().dtype(at::kByte).device(at::kMeta));
  const mcloss::MaybeTensor rows = table(b.rows.data(), {samples}, at::kInt);
  const at::Tensor windows = table(b.windows.data(), {samples, 3}, at::kInt);
  const mcloss::MaybeTensor jitter = table(b.jitter.data(), {samples, 3}, at::kFloat);
  const mcloss::MaybeTensor erased = table(b.erased.data(), {samples, 4}, at::kInt);
  const std::vector<double> mean{0.5, 0.5, 0.5}, std{0.5, 0.5, 0.5};
  const Transfers transfers;
  const mcloss::GatherTensors there =
      mcloss::prepare_gather({pixels, rows, windows, jitter, 3, 4, mean, std, at::kFloat, erased});
  check(there.windows.is_meta() && Transfers::seen.across == 4, "a copy for each table");
  check(Transfers::seen.blocking == 0, "gather_augment waits for none");
}

void same_values() {
  const Buffers b;
  const mcloss::Uploader upload(at::kCPU);
  const at::Tensor all = table(b.pixels.data(), {images, height, width, 3}, at::kByte);
  const at::Tensor rows = table(b.rows.data(), {samples}, at::kInt);
  const at::Tensor windows = table(b.windows.data(), {samples, 3}, at::kInt);
  const at::Tensor jitter = table(b.jitter.data(), {samples, 3}, at::kFloat);
  const at::Tensor erased = table(b.erased.data(), {samples, 4}, at::kInt);
  const mcloss::Batch of_store = b.batch(store_of(b.pixels)), own = b.batch(nullptr);
  check(batch_input(of_store, options, upload)
            .input.equal(mcloss::gather_augment(all, rows, windows, jitter, options, erased)),
        "batch of a store: the same bits as from separate tables");
  const auto [input, target] = batch_input(own, options, upload);
  check(input.equal(mcloss::gather_augment(all.narrow(0, 0, samples), {}, windows, jitter, options,
                                           erased)),
        "batch of its own pixels: the same bits as from separate tables");
  check(target.equal(table(b.labels.data(), {samples}, at::kInt).to(at::kLong)), "the labels");
  const mcloss::BatchInput memory{at::full_like(input, 9), at::full_like(target, 9)};
  const auto [there, labels] = batch_input(own, options, upload, memory);
  check(there.is_same(memory.input) && labels.is_same(memory.target), "a batch in given memory");
  check(there.equal(input) && labels.equal(target), "a batch in given memory: the same bits");
  check_error("E_ARGUMENT", "channels_last",
              [&] { batch_input(own, options, upload, {input.contiguous(), target}); });
  mcloss::Batch plain = own;
  plain.jitter = nullptr;
  plain.erased = plain.labels = nullptr;
  const auto few = batch_input(plain, options, upload);
  check(
      few.input.equal(mcloss::gather_augment(all.narrow(0, 0, samples), {}, windows, {}, options)),
      "without jitter and rectangles");
  check(!few.target.defined(), "without labels");
}

void refusals() {
  for (const auto device : {at::kCPU, at::kMeta}) {
    const mcloss::Uploader upload(device);
    Buffers row, factor, rectangle;
    row.rows[1] = images;
    factor.jitter[4] = -1;
    rectangle.erased[4] = 3;
    const auto refused = [&](const char* word, const Buffers& buffers) {
      check_error("E_ARGUMENT", word,
                  [&] { batch_input(buffers.batch(store_of(buffers.pixels)), options, upload); });
    };
    refused("rows 0..M-1", row);
    refused("jitter factors", factor);
    refused("rectangles to erase", rectangle);
  }
}

// A store may be closed, and its memory given to others, while the GPU has yet to read it.
void store_on_gpu() {
  const Buffers b;
  const auto store = store_of(b.pixels, mcloss::StoreMode::gpu);
  const mcloss::Uploader upload(at::Device(at::kCUDA, 0));
  const Transfers transfers;
  const at::Tensor input = batch_input(b.batch(store), options, upload).input;
  check(Transfers::seen.kept == 2, "the memory of the store and of the tables is kept");
  const mcloss::Uploader on_cpu(at::kCPU);
  check(input.cpu().equal(batch_input(b.batch(store_of(b.pixels)), options, on_cpu).input),
        "the bits of the CPU");
}

}  // namespace

void batch_inputs() {
  test_case("batch input: no waits", no_waits);
  test_case("batch input: the operator does not wait", operator_does_not_wait);
  test_case("batch input: values", same_values);
  test_case("batch input: refusals", refusals);
  if (at::hasCUDA()) test_case("batch input: a store on a GPU", store_on_gpu);
}

}  // namespace test
