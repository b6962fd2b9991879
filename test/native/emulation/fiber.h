// A thread of a block as a fiber: a stack of its own, and a switch that keeps what a call keeps.
#pragma once

#include <cstddef>

namespace emulation {

// Goes on where `to` was left, and writes down where this one is.
extern "C" void emulation_switch(void** left, void* to);

constexpr size_t kMostThreads = 1024;  // of a block

// Where thread `index` begins when it is switched to: at the beginning of `entry`, which never returns.
void* new_fiber(size_t index, void (*entry)());

// Whether the address is on the stack of a fiber.
bool on_fiber_stack(const void* address);

}  // namespace emulation
