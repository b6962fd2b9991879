// In the official writer's order (dtype, then name), so that the same tensors give the
// same bytes there and here.
#include <algorithm>
#include <string_view>

#include "io/file.h"
#include "io/weight_dtypes.h"
#include "io/weights.h"

namespace mcloss {
namespace {

struct Entry {
  const std::string* name;
  const at::Tensor* tensor;
  size_t order;  // position in weight_dtypes
};

size_t dtype_order(const std::string& name, const at::Tensor& tensor) {
  const auto found =
      std::find_if(weight_dtypes.begin(), weight_dtypes.end(),
                   [&](const WeightDtype& dtype) { return dtype.type == tensor.scalar_type(); });
  if (found == weight_dtypes.end()) {
    throw Error("E_ARGUMENT", "write_safetensors: tensor '" + name + "' has dtype " +
                                  std::string(c10::toString(tensor.scalar_type())) +
                                  ", which the format has no name for here");
  }
  return static_cast<size_t>(found - weight_dtypes.begin());
}

std::vector<Entry> sorted_entries(const NamedTensors& tensors) {
  std::vector<Entry> entries;
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({&name, &tensor, dtype_order(name, tensor)});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.order != b.order ? a.order < b.order : *a.name < *b.name;
  });
  return entries;
}

// Names of modules, which JSON has nothing to escape in; each once.
void check_names(const NamedTensors& tensors) {
  std::vector<std::string> names{"__metadata__"};
  for (const auto& [name, tensor] : tensors) {
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return c < ' ' || c == '"' || c == '\\'; })) {
      throw Error("E_ARGUMENT",
                  "write_safetensors: expected the name of a module but received '" + name + "'");
    }
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    throw Error("E_ARGUMENT", "write_safetensors: the name '" + *twice +
                                  "' is taken already; every tensor needs its own");
  }
}

std::string header_text(const std::vector<Entry>& entries, const std::string& metadata) {
  std::string text = "{";
  std::string_view separator;
  if (!metadata.empty()) {
    text.append("\"__metadata__\":").append(metadata);
    separator = ",";
  }
  int64_t at = 0;
  for (const Entry& entry : entries) {
    std::string shape;
    for (const int64_t extent : entry.tensor->sizes()) {
      if (!shape.empty()) shape += ',';
      shape += std::to_string(extent);
    }
    const int64_t end = at + static_cast<int64_t>(entry.tensor->nbytes());
    text.append(separator).append("\"").append(*entry.name).append("\":{\"dtype\":\"");
    text.append(weight_dtypes[entry.order].name).append("\",\"shape\":[").append(shape);
    text.append("],\"data_offsets\":[").append(std::to_string(at)).append(",");
    text.append(std::to_string(end)).append("]}");
    separator = ",";
    at = end;
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begins at a multiple of 8
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::string& metadata) {
  check_names(tensors);
  const std::vector<Entry> entries = sorted_entries(tensors);
  const std::string header = header_text(entries, metadata);

  File file = File::create(path);
  unsigned char prefix[8];
  for (int i = 0; i < 8; ++i) prefix[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  file.write(prefix, sizeof prefix);
  file.write(header.data(), header.size());
  for (const Entry& entry : entries) {
    const at::Tensor data = entry.tensor->detach().to(at::kCPU).contiguous();
    file.write(data.const_data_ptr(), data.nbytes());
  }
  file.sync_and_close();
}

}  // namespace mcloss
