#include "io/pixel_store.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>

#include "io/file.h"

namespace mcloss {
namespace {

// On the way to a GPU, through ordinary memory.
constexpr int64_t copied_bytes_at_once = int64_t{64} << 20;

at::Tensor map(const File& file, const StoreLayout& layout, at::IntArrayRef shape) {
  const auto bytes = static_cast<size_t>(layout.file_bytes);
  void* const begin = file.map_to_read(bytes);
  return at::from_blob(
      static_cast<uint8_t*>(begin) + layout.offset, shape,
      [begin, bytes](void*) { ::munmap(begin, bytes); }, at::kByte);
}

at::Tensor read_all(const File& file, const StoreLayout& layout, at::IntArrayRef shape) {
  const at::Tensor pixels = at::empty(shape, at::kByte);
  file.read(pixels.data_ptr(), pixels.nbytes(), static_cast<uint64_t>(layout.offset));
  return pixels;
}

at::Tensor read_to_gpu(const File& file, const StoreLayout& layout, at::IntArrayRef shape) {
  const at::Tensor pixels =
      at::empty(shape, at::TensorOptions().dtype(at::kByte).device(at::kCUDA));
  const int64_t image_bytes = layout.height * layout.width * 3;
  const int64_t step = std::max<int64_t>(1, copied_bytes_at_once / image_bytes);
  const at::Tensor part = at::empty({step, layout.height, layout.width, 3}, at::kByte);
  for (int64_t first = 0; first < layout.count; first += step) {
    const int64_t count = std::min(step, layout.count - first);
    file.read(part.data_ptr(), static_cast<uint64_t>(count * image_bytes),
              static_cast<uint64_t>(layout.offset + first * image_bytes));
    pixels.narrow(0, first, count).copy_(part.narrow(0, 0, count));
  }
  return pixels;
}

}  // namespace

PixelStore::PixelStore(const StoreLayout& layout) {
  // Products of the three stay below 2^63.
  if (layout.count * layout.height > (int64_t{1} << 53) / layout.width / 3) {
    throw Error("E_ARGUMENT", "openStore: expected count to be smaller but received " +
                                  std::to_string(layout.count) + ".");
  }
  const File file = File::open_to_read(layout.path);
  const uint64_t length = file.size();
  const int64_t end = layout.offset + layout.count * layout.height * layout.width * 3;
  if (length != static_cast<uint64_t>(layout.file_bytes) || end > layout.file_bytes) {
    throw Error("E_DATA", "store: expected " + layout.path + " to have " +
                              std::to_string(std::max(end, layout.file_bytes)) +
                              " bytes but it has " + std::to_string(length) +
                              ". Delete it; the next run decodes the images anew.");
  }
  const int64_t shape[] = {layout.count, layout.height, layout.width, 3};
  switch (layout.mode) {
    case StoreMode::mmap: pixels_ = map(file, layout, shape); break;
    case StoreMode::ram: pixels_ = read_all(file, layout, shape); break;
    case StoreMode::gpu: pixels_ = read_to_gpu(file, layout, shape); break;
  }
}

}  // namespace mcloss
