#include "emulation/block.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <vector>

#include "emulation/fiber.h"
#include "emulation/memory.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation {
namespace {

enum class State { ready, at_block_barrier, at_warp_operation, done };

struct Thread {
  void* stack = nullptr;
  State state = State::ready;
  const char* file = "";  // where it waits
  int line = 0;
  unsigned mask = 0;
};

struct Warp {
  uint32_t phase = 0;    // barriers of its own that it has passed
  unsigned waiting = 0;  // lanes at a warp operation
};

struct Variable {
  const void* declaration;
  size_t begin;
};

struct Running {
  const char* kernel = "";
  c10::function_ref<void()> thread{};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  unsigned char brought[kMostThreads][16];  // to a warp operation, by each thread
  unsigned char taken[kMostThreads][16];    // the same as of when all were there
  unsigned current = 0;
  void* scheduler = nullptr;
  unsigned waiting = 0;                  // at the block's barrier
  bool released = false;                 // the barrier has just let all go
  size_t shared_bytes = 0;               // dynamic ones
  size_t own_bytes = 0, shared_end = 0;  // with static ones; where the next may begin
  std::vector<Variable> variables;
  std::string fault;
} block;

Order order;
std::mt19937 generator;
Site left_out;
std::set<Site> reached;
Counts counted;

void arrange(std::vector<unsigned>& turns) {
  std::iota(turns.begin(), turns.end(), 0u);
  if (order.kind == Order::reverse) std::reverse(turns.begin(), turns.end());
  if (order.kind == Order::random) std::shuffle(turns.begin(), turns.end(), generator);
}

Thread& current() { return block.threads[block.current]; }

void to_scheduler() {
  now.running = false;
  emulation_switch(&current().stack, block.scheduler);
}

void entry() {
  block.thread();
  current().state = State::done;
  to_scheduler();
}

std::string place(const char* file, int line) { return c10::str(file, ":", line); }

std::string name_of(unsigned thread) {
  return c10::str("thread ", thread, " of block ", blockIdx.x, ",", blockIdx.y, ",", blockIdx.z);
}

void resume(unsigned thread) {
  block.current = thread;
  threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y,
               thread / blockDim.x / blockDim.y};
  now.thread = static_cast<uint16_t>(thread);
  now.warp_phase = block.warps[thread / kWarpSize].phase;
  now.running = true;
  emulation_switch(&block.scheduler, current().stack);
  if (!block.fault.empty()) throw Fault(block.fault);
}

// Lets every thread of the warp go on until none can, or until the block's barrier is passed. Returns
// whether one went on.
bool run_warp(unsigned warp, const std::vector<unsigned>& lanes) {
  bool any = false;
  for (bool again = true; again && !block.released;) {
    again = false;
    for (const unsigned lane : lanes) {
      const unsigned thread = warp * kWarpSize + lane;
      if (thread >= block.threads.size() || block.threads[thread].state != State::ready) continue;
      resume(thread);
      any = again = true;
      if (block.released) break;
    }
  }
  return any;
}

void run_block() {
  for (unsigned i = 0; i < block.threads.size(); ++i) {
    block.threads[i] = {};
    block.threads[i].stack = new_fiber(i, &entry);
  }
  std::vector<unsigned> warps((block.threads.size() + kWarpSize - 1) / kWarpSize), lanes(kWarpSize);
  block.warps.assign(warps.size(), {});
  block.waiting = 0;
  ++now.run;
  now.phase = 0;
  begin_shared();
  block.variables.clear();
  add_shared(0, block.shared_bytes);
  block.own_bytes = block.shared_end = block.shared_bytes;
  for (bool any = true; any;) {
    any = block.released = false;
    arrange(warps);
    arrange(lanes);
    for (const unsigned warp : warps) any = run_warp(warp, lanes) || any;
  }
  for (unsigned i = 0; i < block.threads.size(); ++i) {
    const Thread& thread = block.threads[i];
    if (thread.state == State::done) continue;
    throw Fault(c10::str(block.kernel, ", ", name_of(i), ": a divergent barrier: waits at ",
                         place(thread.file, thread.line),
                         " for threads that have ended or wait elsewhere"));
  }
  ++counted.blocks;
}

void wait(State state, const char* file, int line) {
  Thread& self = current();
  self.state = state;
  self.file = file;
  self.line = line;
}

// The lanes of the mask, as numbers of threads.
template <typename Body>
void for_lanes(unsigned mask, const Body& body) {
  const unsigned first = block.current / kWarpSize * kWarpSize;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if (mask >> lane & 1) body(first + lane);
  }
}

bool is_at(const Thread& thread, const char* file, int line) {
  return thread.line == line && (thread.file == file || std::strcmp(thread.file, file) == 0);
}

// Returns when all lanes of the mask are here. The last one calls all_here() before any goes on.
void meet(unsigned mask, const char* file, int line, c10::function_ref<void()> all_here) {
  const unsigned lane = block.current % kWarpSize;
  Warp& warp = block.warps[block.current / kWarpSize];
  if (!(mask >> lane & 1)) fail("a warp operation whose mask leaves it out");
  wait(State::at_warp_operation, file, line);
  current().mask = mask;
  warp.waiting |= 1u << lane;
  if ((warp.waiting & mask) != mask) return to_scheduler();
  for_lanes(mask, [&](unsigned thread) {
    const Thread& other = block.threads[thread];
    if (is_at(other, file, line) && other.mask == mask) return;
    fail(c10::str("a divergent warp operation at ", place(file, line), ", but at ",
                  place(other.file, other.line), " for ", name_of(thread)));
  });
  all_here();
  for_lanes(mask, [&](unsigned thread) { block.threads[thread].state = State::ready; });
  warp.waiting &= ~mask;
}

}  // namespace

void set_order(Order wanted) {
  order = wanted;
  generator.seed(wanted.seed);
}
void leave_out(const Site& site) { left_out = site; }
const std::set<Site>& sites_reached() { return reached; }
const Counts& counts() { return counted; }

void fail(const std::string& what) {
  block.fault = c10::str(block.kernel, ", ", name_of(block.current), ": ", what);
  to_scheduler();
  __builtin_unreachable();
}

void run_grid(const char* kernel, const Config& config, c10::function_ref<void()> thread) {
  const auto& [grid, size, shared_bytes, stream] = config;
  const auto refuse = [&](const std::string& what) { throw Fault(c10::str(kernel, ": ", what)); };
  const uint64_t threads = uint64_t{size.x} * size.y * size.z;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  if (threads == 0 || threads > kMostThreads || size.z > 64) {
    refuse(c10::str("a block of ", threads, " threads"));
  }
  if (blocks == 0) refuse("an empty grid");
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) refuse("a grid too large");
  if (shared_bytes > kMostShared) refuse("more than 48 KiB of dynamic shared memory");
  block.kernel = kernel;
  block.thread = thread;
  block.threads.resize(threads);
  block.shared_bytes = shared_bytes;
  block.fault.clear();
  gridDim = grid;
  blockDim = size;
  now.first_run = now.run + 1;
  begin_fences();
  ++counted.launches;
  std::vector<unsigned> turns(blocks);
  arrange(turns);
  for (const unsigned turn : turns) {
    blockIdx = {turn % grid.x, turn / grid.x % grid.y, turn / grid.x / grid.y};
    run_block();
  }
}

void block_barrier(const char* file, int line) {
  if (line == left_out.second && left_out.first == file) return;
  wait(State::at_block_barrier, file, line);
  if (++block.waiting < block.threads.size()) return to_scheduler();
  for (unsigned i = 0; i < block.threads.size(); ++i) {
    const Thread& other = block.threads[i];
    if (is_at(other, file, line)) continue;
    fail(c10::str("a divergent barrier: __syncthreads at ", place(file, line), ", but at ",
                  place(other.file, other.line), " for ", name_of(i)));
  }
  for (Thread& thread : block.threads) thread.state = State::ready;
  block.waiting = 0;
  block.released = true;
  ++now.phase;
  ++counted.barriers;
  reached.emplace(file, line);
  to_scheduler();
}

void warp_operation(unsigned mask, const void* value, size_t bytes, const char* file, int line,
                    c10::function_ref<void(unsigned lane, Lanes values)> take) {
  std::memcpy(block.brought[block.current], value, bytes);
  // A copy, since a thread that goes on may bring its next value before others have read this one.
  meet(mask, file, line, [&] {
    for_lanes(mask, [](unsigned thread) {
      std::memcpy(block.taken[thread], block.brought[thread], sizeof block.taken[thread]);
    });
  });
  const unsigned lane = block.current % kWarpSize;
  take(lane, block.taken + (block.current - lane));
}

void warp_barrier(unsigned mask, const char* file, int line) {
  Warp& warp = block.warps[block.current / kWarpSize];
  meet(mask, file, line, [&] { ++warp.phase; });
  now.warp_phase = warp.phase;
}

void fence() { fence_of_thread(); }

unsigned char* dynamic_shared() { return shared_area(); }

void* static_shared(const void* declaration, size_t bytes, size_t alignment) {
  for (const auto& [other, begin] : block.variables) {
    if (other == declaration) return shared_area() + begin;
  }
  constexpr size_t kGuard = 64;
  const size_t begin = (block.shared_end + kGuard + alignment - 1) / alignment * alignment;
  block.shared_end = begin + bytes;
  block.own_bytes += bytes;
  if (block.own_bytes > kMostShared) fail("more than 48 KiB of shared memory");
  add_shared(begin, block.shared_end);
  block.variables.push_back({declaration, begin});
  return shared_area() + begin;
}

}  // namespace emulation
