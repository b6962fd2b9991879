// LibTorch's memory for CPU tensors, kept between steps. A step frees its large tensors and the next
// allocates the same sizes anew; from the operating system each would come as fresh pages, which
// cost up to a third of a step to touch for the first time.
#pragma once

namespace mcloss {

// From now on LibTorch's large CPU tensors come from here, of the whole process.
void keep_freed_memory();

// Gives what is free back to the operating system.
void release_kept_memory();

}  // namespace mcloss
