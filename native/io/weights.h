// Tensors in files. Where they lie TypeScript has read from the file's header (lib/weights); their
// bytes are read and written here. Names and texts for a header come from there as well.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "io/file.h"
#include "types.h"

namespace mcloss {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// The tensors of a file, each read when it is asked for and in pieces: beside the memory they are
// copied into, a few MiB are in use. A tensor with gaps or another order of its elements is read whole.
class WeightFile {
 public:
  // Has a descriptor of its own: the table's may be closed after it. All ranges are checked before a
  // byte is read: none leaves its storage or the file. Throws E_WEIGHTS, E_IO.
  explicit WeightFile(WeightTable table);

  const std::vector<StoredTensor>& tensors() const { return table_.tensors; }
  const std::string& path() const { return table_.path; }

  // Reads a tensor of `tensors()` and keeps nothing. Throws E_WEIGHTS for a BOOL that is neither 0 nor 1
  // and, with `finite`, for a value that is no finite float32; E_IO.
  void check_values(const StoredTensor& tensor, bool finite) const;
  // Into a tensor of the same shape, on any device, in any layout. Throws as check_values without
  // `finite`, with some of the elements copied.
  void copy(const StoredTensor& tensor, const at::Tensor& into) const;

 private:
  WeightTable table_;
  File file_;
};

enum class WeightsPart { backbone, all };
constexpr auto names_of(WeightsPart) { return std::array{"backbone", "all"}; }

// What of a file of weights a model takes.
struct TakeOptions {
  WeightsPart part = WeightsPart::all;  // backbone: the head stays as it is
  bool partial = false;                 // leave out what does not fit
  bool finite = false;                  // refuse values that are no finite float32

  template <typename V>
  void fields(V& v) {
    v("part", part);
    v("partial", partial);
    v("finite", finite);
  }
};

// Names of tensors: in both; in the file alone, or of another shape or part; in the model alone, or of
// another shape or part. A num_batches_tracked that the file lacks is in none: it counts from 0.
struct Taken {
  std::vector<std::string> taken, left_out, initialised;

  template <typename V>
  void fields(const V& v) {
    v("taken", taken);
    v("leftOut", left_out);
    v("initialised", initialised);
  }
};

// Writes `path` as a .safetensors file, whole and fsynced; atomicity is the caller's (write into a
// folder that is renamed into place). Tensors from any device, any strides. metadata: the JSON text of
// the header's __metadata__; empty: none. Throws E_IO with the system's reason.
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::string& metadata);

}  // namespace mcloss
