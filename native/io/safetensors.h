// The safetensors format: an 8-byte little-endian header length, a JSON header, the tensors' bytes.
// Strict: offsets must tile the data exactly, lengths must match dtype and shape, names are unique.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mcloss {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct SafetensorsFile {
  NamedTensors tensors;                         // in file order, on the CPU, own memory
  std::map<std::string, std::string> metadata;  // the header's __metadata__
};

// Throws E_IO (cannot open or read) or E_WEIGHTS (not a valid safetensors file), naming the path.
SafetensorsFile read_safetensors(const std::string& path);

// Writes `path` whole and fsyncs it; atomicity is the caller's (write into a folder that is renamed
// into place). Tensors from any device, any strides. Throws E_IO with the system's reason.
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace mcloss
