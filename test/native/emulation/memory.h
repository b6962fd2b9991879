// The memory that a kernel sees. Kernels are compiled with calls before each read and write
// (-fsanitize=thread, without its library); they end here. An access is a fault outside of every tensor
// and shared variable, if it reads shared memory that nobody wrote, or if another thread has
// accessed the same byte, one of the two writes, and no barrier stands between.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulation {

// From now on LibTorch takes a CPU tensor's memory from here: filled with NaN, its bounds known.
void take_over_allocations();

// Who runs; the same for all threads of a block between two barriers, but for `thread` and `warp`.
struct Now {
  bool running = false;     // a thread of a kernel does
  uint32_t run = 0;         // which block this is, of all that have run
  uint32_t first_run = 0;   // of the launch
  uint32_t phase = 0;       // barriers that the block has passed
  uint32_t warp_phase = 0;  // that its warp has passed
  uint32_t clock = 0;       // fences so far
  uint16_t thread = 0;
};
extern Now now;

enum class Access { read, write, atomic };
void touch(const void* address, size_t bytes, Access access);

// The shared memory of a block is the area from its begin on; [begin, end) of it is a variable.
unsigned char* shared_area();
void begin_shared();  // of a block: there is none
void add_shared(size_t begin, size_t end);
void begin_fences();  // of a launch: there were none
void fence_of_thread();

}  // namespace emulation
