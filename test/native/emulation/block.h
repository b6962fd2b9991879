// Runs the blocks of a launch one after the other, and the threads of a block as fibers, in an order
// that is as unfair as it can be: a warp runs until none of its threads can go on, then the next one
// does, and each barrier draws the order anew. Finds barriers and warp operations that not all threads
// reach.
#pragma once

#include <c10/util/FunctionRef.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
using cudaStream_t = void*;

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emulation {

// What a kernel does wrong. The launch ends with it.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr unsigned kWarpSize = 32;
constexpr size_t kMostShared = 48 * 1024;  // bytes a block has without asking for more

struct Config {
  dim3 grid, block;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

// The order of blocks, warps and lanes.
struct Order {
  enum Kind { forward, reverse, random } kind = forward;
  uint32_t seed = 0;
};
void set_order(Order order);

// Where a barrier stands in the sources.
using Site = std::pair<std::string, int>;
// The barriers there are left out, to see that this is found.
void leave_out(const Site& site);
const std::set<Site>& sites_reached();

struct Counts {
  uint64_t launches = 0, blocks = 0, barriers = 0;
};
const Counts& counts();

// ---- for the kernels ----

void run_grid(const char* kernel, const Config& config, c10::function_ref<void()> thread);
void block_barrier(const char* file, int line);
// Waits until each lane of `mask` has brought its value (up to 16 bytes), then hands lane i's bytes
// to `take` as values[i].
using Lanes = const unsigned char (*)[16];
void warp_operation(unsigned mask, const void* value, size_t bytes, const char* file, int line,
                    c10::function_ref<void(unsigned lane, Lanes values)> take);
void warp_barrier(unsigned mask, const char* file, int line);
void fence();
unsigned char* dynamic_shared();
// The block's variable of this declaration; `declaration` tells one from the other.
void* static_shared(const void* declaration, size_t bytes, size_t alignment);

// Ends the launch from within a thread.
[[noreturn]] void fail(const std::string& what);

}  // namespace emulation
