// The decoded images of a split, u8 [count, height, width, 3], opened read-only from a store file
// (lib/data/store/format.ts says what else is in it).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "types.h"

namespace mcloss {

// mmap: the file's own pages; ram: a copy in memory; gpu: a copy on the first GPU.
enum class StoreMode { mmap, ram, gpu };
constexpr auto names_of(StoreMode) { return std::array{"mmap", "ram", "gpu"}; }

struct StoreLayout {
  std::string path;
  int64_t file_bytes = 0;  // of the whole file
  int64_t offset = 0;      // of the first pixel, bytes
  int64_t count = 0, height = 0, width = 0;
  StoreMode mode = StoreMode::mmap;

  template <typename V>
  void fields(V& v) {
    v("path", path);
    v("fileBytes", file_bytes);
    v("offset", offset);
    v("count", count, ranges::size);
    v("height", height, ranges::size);
    v("width", width, ranges::size);
    v("mode", mode);
  }
};

class PixelStore {
 public:
  // Throws E_ARGUMENT for more pixels than a file can hold, E_IO where the file cannot be read, E_DATA
  // where it is not as long as the layout says: a
  // mapped file that is cut short would end the process at the first missing page.
  explicit PixelStore(const StoreLayout& layout);

  const at::Tensor& pixels() const { return pixels_; }

 private:
  at::Tensor pixels_;
};

}  // namespace mcloss
