// While one trainer of the process records its step (train/step/step_graph.h), no other may do what
// waits for the whole GPU: CUDA refuses that during a recording, and the refusal breaks the recording.
// cuDNN waits so when it times its algorithms for a shape that it has not seen.
#pragma once

#include <shared_mutex>

namespace mcloss {

// Held alone by what records, shared by what launches a network's work as it is.
inline std::shared_mutex recording_lock;

}  // namespace mcloss
