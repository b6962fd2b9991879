// A batch as JavaScript gives it, over JavaScript's own buffers.
#pragma once

#include <napi.h>

#include <vector>

#include "types.h"

namespace mcloss {

// The batch points into JavaScript's buffers: `keep` is for as long as it is used.
struct KeptBatch {
  Batch batch;
  std::vector<Napi::ObjectReference> keep;
};
KeptBatch batch_of(const Napi::Value& value, bool with_labels);

}  // namespace mcloss
