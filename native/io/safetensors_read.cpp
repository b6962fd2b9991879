// Reading: the whole header is checked before a byte of tensor data is read or a tensor is
// allocated, so a hostile header can cost no more memory than its file is long.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/safetensors_dtype.h"

namespace mcloss {
namespace {

constexpr uint64_t max_header_bytes = 100'000'000;  // the official reader's limit
constexpr size_t max_rank = 64;                     // LibTorch's own limit in its operators

struct Entry {
  std::string name;
  std::string dtype_name;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;  // [begin, end) in the data
  const SafetensorsDtype* dtype = nullptr;
};

struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

Entry read_entry(JsonReader& json, const std::string& name) {
  Entry entry;
  entry.name = name;
  bool has_shape = false;
  json.object([&](const std::string& key) {
    if (key == "dtype") {
      entry.dtype_name = json.string();
    } else if (key == "shape") {
      has_shape = true;
      json.array([&] {
        const uint64_t extent = json.integer();
        if (extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
          json.fail("a dimension too large");
        }
        if (entry.shape.size() == max_rank) json.fail("more than 64 dimensions");
        entry.shape.push_back(static_cast<int64_t>(extent));
      });
    } else if (key == "data_offsets") {
      json.array([&] {
        if (entry.offsets.size() == 2) json.fail("more than two data_offsets");
        entry.offsets.push_back(json.integer());
      });
    } else {
      json.fail("the unknown key " + json_quote(key));
    }
  });
  if (entry.dtype_name.empty() || !has_shape || entry.offsets.size() != 2) {
    json.fail("tensor " + json_quote(name) + " without dtype, shape and two data_offsets, ending");
  }
  return entry;
}

Header parse_header(std::string_view text) {
  if (text.empty() || text.front() != '{') throw JsonError("the header does not begin with '{'");
  Header header;
  JsonReader json(text);
  json.object([&](const std::string& name) {
    if (name == "__metadata__") {
      json.object([&](const std::string& key) { header.metadata[key] = json.string(); });
    } else {
      header.entries.push_back(read_entry(json, name));
    }
  });
  json.end();
  return header;
}

uint64_t byte_count(const Entry& entry) {
  // `strides` takes a zero as 1, as LibTorch does to make strides: it bounds `count` as well.
  uint64_t count = entry.dtype->bytes, strides = entry.dtype->bytes;
  for (const int64_t extent : entry.shape) {
    const auto factor = static_cast<uint64_t>(extent);
    count *= factor;
    if (__builtin_mul_overflow(strides, std::max<uint64_t>(factor, 1), &strides) ||
        strides > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      throw JsonError("tensor " + json_quote(entry.name) + ": its shape is too large");
    }
  }
  return count;
}

// Known dtypes; byte counts that fit; offsets that tile [0, data_bytes) without hole or overlap.
// Sorts the entries by offset.
void check_entries(std::vector<Entry>& entries, uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  uint64_t at = 0;
  for (Entry& entry : entries) {
    const std::string who = "tensor " + json_quote(entry.name) + ": ";
    for (const SafetensorsDtype& dtype : safetensors_dtypes) {
      if (dtype.name == entry.dtype_name) entry.dtype = &dtype;
    }
    if (!entry.dtype) {
      throw JsonError(who + "dtype " + json_quote(entry.dtype_name) +
                      " is none of I64 F64 F32 I32 BF16 F16 I16 I8 U8 BOOL");
    }
    const uint64_t begin = entry.offsets[0], end = entry.offsets[1];
    if (begin != at || end < begin) {
      throw JsonError(who + "its data_offsets leave a hole or overlap: expected to begin at " +
                      std::to_string(at) + ", received [" + std::to_string(begin) + ", " +
                      std::to_string(end) + "]");
    }
    if (end - begin != byte_count(entry)) {
      throw JsonError(who + "its shape and dtype need " + std::to_string(byte_count(entry)) +
                      " bytes, its data_offsets span " + std::to_string(end - begin));
    }
    at = end;
  }
  if (at != data_bytes) {
    throw JsonError("the tensors take " + std::to_string(at) + " bytes, the file holds " +
                    std::to_string(data_bytes) + " after its header");
  }
}

Header read_header(File& file) {
  const uint64_t size = file.size();
  if (size < 8) throw JsonError("it is " + std::to_string(size) + " bytes long, shorter than 8");
  unsigned char prefix[8];
  file.read(prefix, sizeof prefix);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | prefix[i];
  if (length > max_header_bytes || length > size - 8) {
    throw JsonError("its header length, " + std::to_string(length) + ", is more than " +
                    std::to_string(std::min(max_header_bytes, size - 8)));
  }
  std::string text(length, '\0');
  file.read(text.data(), length);
  Header header = parse_header(text);
  check_entries(header.entries, size - 8 - length);
  return header;
}

at::Tensor read_tensor(File& file, const Entry& entry) {
  at::Tensor tensor = at::empty(entry.shape, at::dtype(entry.dtype->type));
  file.read(tensor.data_ptr(), entry.offsets[1] - entry.offsets[0]);
  if (entry.dtype->type == at::kBool) {
    const auto* bytes = static_cast<const unsigned char*>(tensor.data_ptr());
    if (std::any_of(bytes, bytes + tensor.numel(), [](unsigned char byte) { return byte > 1; })) {
      throw JsonError("tensor " + json_quote(entry.name) + ": a BOOL that is neither 0 nor 1");
    }
  }
  return tensor;
}

}  // namespace

SafetensorsFile read_safetensors(const std::string& path) {
  File file = File::open_to_read(path);
  try {
    Header header = read_header(file);
    SafetensorsFile result;
    result.metadata = std::move(header.metadata);
    result.tensors.reserve(header.entries.size());
    for (const Entry& entry : header.entries) {
      result.tensors.emplace_back(entry.name, read_tensor(file, entry));
    }
    return result;
  } catch (const JsonError& error) {
    throw Error("E_WEIGHTS", path + " is not a valid safetensors file: " + error.what() +
                                 ". It is damaged or cut short: copy, download or save it again.");
  }
}

}  // namespace mcloss
