#include "train/step/batch_input.h"

#include <ATen/ops/from_blob.h>

#include "io/pixel_store.h"

namespace mcloss {
namespace {

template <typename T>
at::Tensor view(const T* data, at::IntArrayRef shape, at::ScalarType dtype) {
  return at::from_blob(const_cast<T*>(data), shape, dtype);
}

}  // namespace

at::Tensor batch_input(const Batch& batch, const GatherOptions& options, const Uploader& upload) {
  const at::Tensor windows = view(batch.windows, {batch.count, 3}, at::kInt);
  std::optional<at::Tensor> rows, jitter, erased;
  if (batch.jitter) jitter = view(batch.jitter, {batch.count, 3}, at::kFloat);
  if (batch.erased) erased = view(batch.erased, {batch.count, 4}, at::kInt);
  if (!batch.store) {
    const at::Tensor pixels =
        view(batch.pixels, {batch.count, batch.height, batch.width, 3}, at::kByte);
    return gather_augment(upload(pixels), rows, windows, jitter, options, erased);
  }
  const at::Tensor& stored = batch.store->pixels();
  rows = view(batch.rows, {batch.count}, at::kInt);
  if (stored.device().type() == upload.device().type()) {
    return gather_augment(stored, rows, windows, jitter, options, erased);
  }
  if (!stored.is_cpu()) {
    throw Error(
        "E_ARGUMENT",
        "trainer: this store lies on the GPU, the trainer on the CPU. Open it as mmap or ram.");
  }
  // Only the batch's images travel to the GPU.
  const at::Tensor images = stored.index_select(0, *rows);
  return gather_augment(upload(images), std::nullopt, windows, jitter, options, erased);
}

}  // namespace mcloss
