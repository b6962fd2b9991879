#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "io/weight_dtypes.h"
#include "io/weights.h"

namespace mcloss {
namespace {

constexpr size_t max_rank = 64;  // LibTorch's own limit in its operators
constexpr int64_t piece_bytes = 8 << 20;

// Where a tensor's elements lie in the file.
struct Place {
  const StoredTensor* tensor;
  const WeightDtype* dtype;
  int64_t elements;     // of the tensor
  int64_t span;         // from its first element to its last, both included
  bool contiguous;      // then span == elements
  uint64_t first_byte;  // of the span, in the file
};

class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

int64_t times(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw Refusal("its shape is too large");
  return product;
}

int64_t plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw Refusal("its shape is too large");
  return sum;
}

const WeightDtype* dtype_named(const std::string& name) {
  const auto found = std::find_if(weight_dtypes.begin(), weight_dtypes.end(),
                                  [&](const WeightDtype& dtype) { return dtype.name == name; });
  if (found == weight_dtypes.end()) throw Refusal("dtype \"" + name + "\" is none of ours");
  return found;
}

// Neither a read outside the storage or the file, nor more memory than the storage is long.
Place place_of(const StoredTensor& tensor, uint64_t file_bytes) {
  const WeightDtype* const dtype = dtype_named(tensor.dtype);
  const auto element = static_cast<int64_t>(dtype->bytes);
  if (tensor.shape.size() != tensor.strides.size() || tensor.shape.size() > max_rank) {
    throw Refusal("expected as many strides as dimensions, at most 64");
  }
  if (tensor.begin < 0 || tensor.begin > tensor.end ||
      static_cast<uint64_t>(tensor.end) > file_bytes) {
    throw Refusal("its storage, bytes " + std::to_string(tensor.begin) + " to " +
                  std::to_string(tensor.end) + ", is not inside the file of " +
                  std::to_string(file_bytes) + " bytes");
  }
  // `row` takes a zero as 1, as LibTorch does to make strides: it bounds `elements` as well.
  int64_t elements = 1, row = 1, last = tensor.offset;
  bool contiguous = true;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    const int64_t extent = tensor.shape[i], stride = tensor.strides[i];
    if (extent < 0 || stride < 0 || tensor.offset < 0) throw Refusal("a negative size or stride");
    contiguous = contiguous && (extent == 1 || stride == row);
    row = times(row, std::max<int64_t>(extent, 1));
    elements = times(elements, extent);
    last = plus(last, times(std::max<int64_t>(extent, 1) - 1, stride));
  }
  times(row, element);
  const int64_t storage = tensor.end - tensor.begin;
  const int64_t needed = elements == 0 ? 0 : times(plus(last, 1), element);
  if (needed > storage || times(elements, element) > storage) {
    throw Refusal("its shape and strides need " +
                  std::to_string(std::max(needed, elements * element)) +
                  " bytes, its storage has " + std::to_string(storage));
  }
  const int64_t first = elements == 0 ? 0 : tensor.offset * element;
  return {&tensor,
          dtype,
          elements,
          elements == 0 ? 0 : last - tensor.offset + 1,
          contiguous || elements == 0,
          static_cast<uint64_t>(tensor.begin + first)};
}

// Contiguous, on the CPU, own memory: rows `first` to `first + count` of a contiguous tensor, or all.
at::Tensor read_rows(const File& file, const Place& place, int64_t first, int64_t count) {
  const bool is_bool = place.dtype->type == at::kBool;  // bytes until they are known to be 0 or 1
  const at::ScalarType type = is_bool ? at::kByte : place.dtype->type;
  std::vector<int64_t> shape = place.tensor->shape;
  uint64_t begin = place.first_byte;
  if (place.contiguous && !shape.empty()) {
    begin += static_cast<uint64_t>(first * (place.elements / shape[0])) * place.dtype->bytes;
    shape[0] = count;
  }
  at::Tensor tensor = at::empty(place.contiguous ? shape : std::vector{place.span}, type);
  file.read(tensor.data_ptr(), tensor.nbytes(), begin);
  if (!place.contiguous) {
    tensor = tensor.as_strided(shape, place.tensor->strides).clone(at::MemoryFormat::Contiguous);
  }
  if (!is_bool) return tensor;
  const auto* bytes = tensor.const_data_ptr<uint8_t>();
  if (std::any_of(bytes, bytes + tensor.numel(), [](uint8_t byte) { return byte > 1; })) {
    throw Refusal("a BOOL that is neither 0 nor 1");
  }
  return tensor.view(at::kBool);
}

// use(first row, the rows), one piece after the other.
template <typename Use>
void in_pieces(const File& file, const Place& place, const Use& use) {
  if (place.elements == 0) return;
  const std::vector<int64_t>& shape = place.tensor->shape;
  const int64_t rows = shape.empty() ? 1 : shape[0];
  const auto row_bytes = static_cast<int64_t>(place.dtype->bytes) * (place.elements / rows);
  const int64_t most = place.contiguous ? std::max<int64_t>(piece_bytes / row_bytes, 1) : rows;
  for (int64_t first = 0; first < rows; first += most) {
    use(first, read_rows(file, place, first, std::min(most, rows - first)));
  }
}

// Whether every word, without its sign, is below `limit`: floats in the order of their bits.
template <typename Word>
bool all_below(const at::Tensor& values, Word limit) {
  constexpr Word magnitude = std::numeric_limits<Word>::max() >> 1;
  const auto* words = static_cast<const Word*>(values.const_data_ptr());
  Word largest = 0;
  for (int64_t i = 0; i < values.numel(); ++i) {
    largest = std::max(largest, static_cast<Word>(words[i] & magnitude));
  }
  return largest < limit;
}

// As float32: an F64 from the middle between the largest one and infinity on is infinite.
bool are_finite(const at::Tensor& values) {
  switch (values.scalar_type()) {
    case at::kDouble: return all_below<uint64_t>(values, 0x47effffff0000000);
    case at::kFloat: return all_below<uint32_t>(values, 0x7f800000);
    case at::kHalf: return all_below<uint16_t>(values, 0x7c00);
    case at::kBFloat16: return all_below<uint16_t>(values, 0x7f80);
    default: return true;
  }
}

// Runs `work`; its Refusal becomes an error of the file and the tensor.
template <typename Work>
void explained(const WeightTable& table, const StoredTensor& tensor, const Work& work) {
  try {
    work();
  } catch (const Refusal& refusal) {
    throw Error("E_WEIGHTS", table.path + " is not a valid " + table.format + " file: tensor \"" +
                                 tensor.name + "\": " + refusal.what() +
                                 ". It is damaged or cut short: copy, download or save it again.");
  }
}

}  // namespace

WeightFile::WeightFile(WeightTable table)
    : table_(std::move(table)), file_(File::duplicate(table_.fd, table_.path)) {
  const uint64_t bytes = file_.size();
  for (const StoredTensor& tensor : table_.tensors) {
    explained(table_, tensor, [&] { place_of(tensor, bytes); });
  }
}

void WeightFile::check_values(const StoredTensor& tensor, bool finite) const {
  explained(table_, tensor, [&] {
    in_pieces(file_, place_of(tensor, file_.size()), [&](int64_t, const at::Tensor& rows) {
      if (!finite || are_finite(rows)) return;
      throw Error("E_WEIGHTS", "weights: tensor \"" + tensor.name + "\" of " + table_.path +
                                   " holds a value that is no finite float32 (NaN, infinite or too "
                                   "large). Nothing was loaded: take other weights.");
    });
  });
}

void WeightFile::copy(const StoredTensor& tensor, const at::Tensor& into) const {
  explained(table_, tensor, [&] {
    in_pieces(file_, place_of(tensor, file_.size()), [&](int64_t first, const at::Tensor& rows) {
      (into.dim() == 0 ? into : into.narrow(0, first, rows.size(0))).copy_(rows);
    });
  });
}

}  // namespace mcloss
