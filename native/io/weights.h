// Tensors in files. Where they lie TypeScript has read from the file's header (lib/weights); their
// bytes are read and written here. Names and texts for a header come from there as well.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "io/file.h"
#include "types.h"

namespace mcloss {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

class WeightFile {
 public:
  // Has a descriptor of its own: the table's may be closed after it. Throws E_IO.
  explicit WeightFile(WeightTable table);

  // Every tensor, in the table's order, contiguous, on the CPU, own memory. All ranges are checked
  // before a byte is read: none leaves its storage or the file. Throws E_WEIGHTS, E_IO.
  NamedTensors read() const;
  const std::string& path() const { return table_.path; }

 private:
  WeightTable table_;
  File file_;
};

// Writes `path` as a .safetensors file, whole and fsynced; atomicity is the caller's (write into a
// folder that is renamed into place). Tensors from any device, any strides. metadata: the JSON text of
// the header's __metadata__; empty: none. Throws E_IO with the system's reason.
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::string& metadata);

}  // namespace mcloss
