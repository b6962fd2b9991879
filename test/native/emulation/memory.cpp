#include "emulation/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "emulation/block.h"
#include "emulation/fiber.h"

extern "C" const char __executable_start, _end;

namespace emulation {

Now now;

namespace {

struct Touch {
  uint32_t run = 0, phase = 0, warp_phase = 0, clock = 0;
  uint16_t thread = 0;
};

// The last write of a byte, and its readers since: one, or several of one warp or of the block.
struct Byte {
  Touch write, read;
  enum : uint8_t { one, a_warp, a_block } readers = one;
};

// A tensor's memory. A page of records is made when a kernel first touches one of its bytes.
struct Allocation {
  static constexpr size_t kPage = 4096;
  size_t bytes;
  std::vector<std::unique_ptr<Byte[]>> pages = {};

  Byte& record(size_t index) {
    if (pages.empty()) pages.resize(bytes / kPage + 1);
    const size_t page = index / kPage;
    if (!pages[page]) pages[page] = std::make_unique<Byte[]>(std::min(kPage, bytes - page * kPage));
    return pages[page][index % kPage];
  }
};
using Allocations = std::map<uintptr_t, Allocation>;
Allocations& allocations() {
  static auto* const all = new Allocations;  // tensors may outlive every static
  return *all;
}

// ---- the allocator ----

constexpr size_t kAlignment = 64, kGuard = 4096;  // bytes that belong to nobody, on either side
constexpr size_t kMostFilled = size_t{1} << 30;   // a larger tensor is one that nobody fills

void give_back(void* data) {
  if (!data) return;
  allocations().erase(reinterpret_cast<uintptr_t>(data));
  std::free(static_cast<char*>(data) - kGuard);
}

struct Allocator final : at::Allocator {
  at::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &give_back, at::kCPU};
    const size_t whole = (bytes + 2 * kGuard + kAlignment - 1) / kAlignment * kAlignment;
    auto* const memory = static_cast<char*>(std::aligned_alloc(kAlignment, whole));
    if (!memory) throw std::bad_alloc();
    char* const data = memory + kGuard;
    if (bytes <= kMostFilled) std::memset(data, 0xff, bytes);
    allocations().emplace(reinterpret_cast<uintptr_t>(data), Allocation{bytes});
    return {data, data, &give_back, at::kCPU};
  }
  at::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

// ---- shared memory ----

// Room for the guards between variables too.
constexpr size_t kSharedArea = 4 * kMostShared;
alignas(64) unsigned char area[kSharedArea];
std::array<Byte, kSharedArea> shared_bytes;
std::vector<std::pair<size_t, size_t>> variables;

// ---- fences ----

struct Fences {
  uint32_t phase = 0;               // the block's last fence came after so many barriers
  std::vector<uint32_t> of_thread;  // the clock at each thread's last one
  Touch atomic;  // the block's last one of global memory, by which others learn of it
};
std::map<uint32_t, Fences> fences;  // of the blocks of this launch

// Whether other blocks may rely on the access having happened: its thread has passed a fence since, or
// any thread has after a barrier; and so has the thread whose atomic tells of it.
bool is_published(const Touch& access) {
  const auto found = fences.find(access.run);
  if (found == fences.end()) return false;
  const auto& [phase, of_thread, atomic] = found->second;
  const bool told =
      atomic.run == access.run && (atomic.phase > access.phase ||
                                   (atomic.thread == access.thread && atomic.clock > access.clock));
  return told && (phase > access.phase ||
                  (access.thread < of_thread.size() && of_thread[access.thread] > access.clock));
}

// ---- races ----

bool same_warp(const Touch& earlier) {
  return earlier.thread / kWarpSize == now.thread / kWarpSize;
}

// Whether nothing orders what this block's other thread did before what this one does now.
bool is_unordered(const Touch& earlier) {
  return earlier.run == now.run && earlier.phase == now.phase && earlier.thread != now.thread &&
         !(same_warp(earlier) && earlier.warp_phase < now.warp_phase);
}

bool of_another_block(const Touch& earlier) {
  return earlier.run >= now.first_run && earlier.run != now.run;
}

bool has_unordered_reader(const Byte& byte) {
  const Touch& read = byte.read;
  if (read.run != now.run || read.phase != now.phase || byte.readers == Byte::one) {
    return is_unordered(read);
  }
  return byte.readers == Byte::a_block || !same_warp(read) || read.warp_phase == now.warp_phase;
}

Touch this_touch() { return {now.run, now.phase, now.warp_phase, now.clock, now.thread}; }

void add_reader(Byte& byte) {
  const Touch& read = byte.read;
  if (read.run != now.run || read.phase != now.phase) {
    byte.readers = Byte::one;
  } else if (!same_warp(read)) {
    byte.readers = Byte::a_block;
  } else if (read.thread != now.thread && byte.readers == Byte::one) {
    byte.readers = Byte::a_warp;
  }
  byte.read = this_touch();
}

// The access of one byte. Atomic ones of one byte do not race with each other; who waits for them to
// finish shows in the results.
void touch_byte(Byte& byte, Access access, bool is_shared) {
  const char* const kind = is_shared ? "shared" : "global";
  if (access == Access::atomic) {
    if (is_shared && byte.write.run != now.run) fail("an atomic of uninitialised shared memory");
    if (is_unordered(byte.write)) fail("a race: an atomic of what a thread has just written");
    if (!is_shared) fences[now.run].atomic = this_touch();
    return;
  }
  const Touch& write = byte.write;
  if (is_unordered(write)) {
    fail(c10::str("a race: ", access == Access::read ? "reads " : "overwrites ", kind,
                  " memory that thread ", write.thread, " wrote, with no barrier between"));
  }
  if (!is_shared && of_another_block(write) && !is_published(write)) {
    fail(
        "a race: accesses what another block wrote without a __threadfence and an atomic after it");
  }
  if (access == Access::read) {
    if (is_shared && write.run != now.run) fail("reads uninitialised shared memory");
    add_reader(byte);
    return;
  }
  if (has_unordered_reader(byte)) {
    fail(c10::str("a race: overwrites ", kind, " memory that thread ", byte.read.thread,
                  " read, with no barrier between"));
  }
  if (!is_shared && of_another_block(byte.read) && !is_published(byte.read)) {
    fail(
        "a race: overwrites what another block read without a __threadfence and an atomic after it");
  }
  byte.write = this_touch();
}

void touch_shared(size_t begin, size_t bytes, Access access) {
  for (const auto& [first, last] : variables) {
    if (begin < first || begin + bytes > last) continue;
    for (size_t i = begin; i < begin + bytes; ++i) touch_byte(shared_bytes[i], access, true);
    return;
  }
  fail("an access outside of every shared variable");
}

bool touch_global(uintptr_t at, size_t bytes, Access access) {
  auto found = allocations().upper_bound(at);
  if (found == allocations().begin()) return false;
  auto& [begin, allocation] = *--found;
  if (at + bytes > begin + allocation.bytes) return false;
  for (size_t i = at - begin; i < at - begin + bytes; ++i) {
    touch_byte(allocation.record(i), access, false);
  }
  return true;
}

// The arguments of a launch lie on the stack of the program.
bool on_own_stack(const void* address) {
  static const auto* const begin = static_cast<const char*>(__builtin_frame_address(0));
  constexpr size_t kReach = 1024 * 1024;
  const auto* const at = static_cast<const char*>(address);
  return at >= begin - kReach && at < begin + kReach;
}

}  // namespace

void take_over_allocations() {
  static Allocator allocator;
  on_own_stack(nullptr);
  c10::SetCPUAllocator(&allocator, /*priority=*/255);
}

unsigned char* shared_area() { return area; }
void begin_shared() { variables.clear(); }
void add_shared(size_t begin, size_t end) {
  if (end > kSharedArea) fail("more shared variables than fit");
  std::memset(area + begin, 0xff, end - begin);
  variables.emplace_back(begin, end);
}

void begin_fences() { fences.clear(); }
void fence_of_thread() {
  auto& of_block = fences[now.run];
  of_block.phase = now.phase;
  if (of_block.of_thread.size() <= now.thread) of_block.of_thread.resize(now.thread + 1u);
  of_block.of_thread[now.thread] = ++now.clock;
}

void touch(const void* address, size_t bytes, Access access) {
  if (!now.running || on_fiber_stack(address)) return;
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto shared = reinterpret_cast<uintptr_t>(area);
  if (at >= shared && at < shared + kSharedArea) return touch_shared(at - shared, bytes, access);
  if (touch_global(at, bytes, access)) return;
  const bool in_program = address >= &__executable_start && address < &_end;
  if (access == Access::read && (in_program || on_own_stack(address))) return;
  fail(c10::str("an access outside of every tensor: ", bytes, " bytes at ", address));
}

}  // namespace emulation

// ---- what the compiler calls ----

using emulation::Access;

#define EMULATION_TOUCH(bytes)                                                               \
  void __tsan_read##bytes(void* at) { emulation::touch(at, bytes, Access::read); }           \
  void __tsan_write##bytes(void* at) { emulation::touch(at, bytes, Access::write); }         \
  void __tsan_unaligned_read##bytes(void* at) { emulation::touch(at, bytes, Access::read); } \
  void __tsan_unaligned_write##bytes(void* at) { emulation::touch(at, bytes, Access::write); }
// Host code alone has these: LibTorch's counts of references.
#define EMULATION_ATOMIC(bits, T)                                                               \
  T __tsan_atomic##bits##_load(const volatile T* at, int) {                                     \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                               \
  }                                                                                             \
  void __tsan_atomic##bits##_store(volatile T* at, T value, int) {                              \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                              \
  }                                                                                             \
  T __tsan_atomic##bits##_fetch_add(volatile T* at, T value, int) {                             \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                     \
  }                                                                                             \
  T __tsan_atomic##bits##_fetch_sub(volatile T* at, T value, int) {                             \
    return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                     \
  }                                                                                             \
  bool __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T value, int, \
                                                     int) {                                     \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,            \
                                       __ATOMIC_SEQ_CST);                                       \
  }                                                                                             \
  bool __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T value, int a, \
                                                   int b) {                                     \
    return __tsan_atomic##bits##_compare_exchange_strong(at, expected, value, a, b);            \
  }
extern "C" {
EMULATION_TOUCH(1)
EMULATION_TOUCH(2)
EMULATION_TOUCH(4)
EMULATION_TOUCH(8)
EMULATION_TOUCH(16)
void __tsan_read_range(void* at, size_t bytes) { emulation::touch(at, bytes, Access::read); }
void __tsan_write_range(void* at, size_t bytes) { emulation::touch(at, bytes, Access::write); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
EMULATION_ATOMIC(8, uint8_t)
EMULATION_ATOMIC(32, uint32_t)
EMULATION_ATOMIC(64, uint64_t)
}
