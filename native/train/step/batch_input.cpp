#include "train/step/batch_input.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

#include "io/pixel_store.h"

namespace mcloss {
namespace {

using Table = std::optional<at::Tensor>;

template <typename T>
Table view(const T* data, at::IntArrayRef shape, at::ScalarType dtype) {
  if (data == nullptr) return std::nullopt;
  return at::from_blob(const_cast<T*>(data), shape, dtype);
}

}  // namespace

BatchInput batch_input(const Batch& batch, const GatherOptions& options, const Uploader& upload,
                       const BatchInput& into) {
  const Table windows = view(batch.windows, {batch.count, 3}, at::kInt);
  const Table jitter = view(batch.jitter, {batch.count, 3}, at::kFloat);
  const Table erased = view(batch.erased, {batch.count, 4}, at::kInt);
  const Table labels = view(batch.labels, {batch.count}, at::kInt);
  const Table rows = view(batch.rows, {batch.count}, at::kInt);
  // Whether the images lie in a store on the trainer's device.
  const bool is_there =
      batch.store && batch.store->pixels().device().type() == upload.device().type();
  at::Tensor pixels;
  if (batch.store) {
    pixels = batch.store->pixels();
    if (!is_there && !pixels.is_cpu()) {
      throw Error(
          "E_ARGUMENT",
          "trainer: this store lies on the GPU, the trainer on the CPU. Open it as mmap or ram.");
    }
  } else {
    pixels = *view(batch.pixels, {batch.count, batch.height, batch.width, 3}, at::kByte);
  }
  check_gather_values(rows, jitter, erased, pixels.size(0), options);
  if (is_there) {
    upload.will_read(pixels);  // and it may be closed before that is done
  } else if (batch.store) {
    // Only the batch's images travel to the GPU.
    at::Tensor images = upload.host_memory(
        {batch.count, pixels.size(1), pixels.size(2), pixels.size(3)}, at::kByte);
    pixels = upload(at::index_select_out(images, pixels, 0, *rows));
  } else {
    pixels = upload(pixels);
  }
  const auto there =
      upload.together({is_there ? rows : std::nullopt, *windows, jitter, erased, labels});
  if (into.input.defined()) {
    gather_augment_into(into.input, pixels, there[0], *there[1], there[2], options, there[3]);
    return {into.input, into.target.copy_(*there[4])};
  }
  return {gather_augment(pixels, there[0], *there[1], there[2], options, there[3]),
          there[4] ? there[4]->to(at::kLong) : at::Tensor()};
}

}  // namespace mcloss
