#include "emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <stdexcept>

// x86-64, System V: what a called function must keep.
asm(R"(
  .text
  .globl emulation_switch
  .type emulation_switch, @function
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulation_switch, . - emulation_switch
)");

namespace emulation {
namespace {

constexpr size_t kStackBytes = 64 * 1024;

// The stacks of all threads, one after the other.
char* new_stacks() {
  void* const memory = mmap(nullptr, kMostThreads * kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("emulation: no memory for the stacks");
  return static_cast<char*>(memory);
}
char* stacks = nullptr;

}  // namespace

void* new_fiber(size_t index, void (*entry)()) {
  if (!stacks) stacks = new_stacks();
  auto* const top = reinterpret_cast<uintptr_t*>(stacks + (index + 1) * kStackBytes);
  // From above: the return address that `entry` never uses, `entry`, the six registers.
  top[-1] = 0;
  top[-2] = reinterpret_cast<uintptr_t>(entry);
  for (int i = 3; i <= 8; ++i) top[-i] = 0;
  return top - 8;
}

bool on_fiber_stack(const void* address) {
  const auto* const at = static_cast<const char*>(address);
  return at >= stacks && at < stacks + kMostThreads * kStackBytes;
}

}  // namespace emulation
