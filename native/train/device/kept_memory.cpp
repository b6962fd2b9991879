#include "train/device/kept_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace mcloss {
namespace {

// Smaller ones are malloc's, which keeps them itself.
constexpr size_t smallest_kept = size_t{1} << 18;

// 64 sizes per doubling: a block that serves a size a little smaller holds little that nobody uses.
size_t rounded_up(size_t size) {
  const size_t step = std::bit_floor(size) / 64;
  return (size + step - 1) / step * step;
}

class KeptMemory final : public c10::Allocator {
 public:
  at::DataPtr allocate(size_t size) override;
  at::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }

  // False for memory that is not from here: LibTorch frees by this what it took before.
  bool take_back(void* memory);
  void release();

 private:
  struct Block {
    void* memory;
    size_t size;
  };

  void* take(size_t size);
  void make_room(size_t size);
  void release_oldest();

  std::mutex mutex_;
  std::unordered_map<void*, size_t> used_;  // sizes
  std::vector<Block> free_;                 // the one that is free for longest first
  size_t used_bytes_ = 0;
  size_t free_bytes_ = 0;
  size_t most_used_bytes_ = 0;
};

// It is never destroyed: tensors in static objects are freed at the very end.
KeptMemory& kept_memory() {
  static auto* const memory = new KeptMemory;
  return *memory;
}

void give_back(void* memory) {
  if (!kept_memory().take_back(memory)) c10::GetDefaultCPUAllocator()->raw_deallocate(memory);
}

at::DataPtr KeptMemory::allocate(size_t size) {
  if (size < smallest_kept) return c10::GetDefaultCPUAllocator()->allocate(size);
  void* const memory = take(rounded_up(size));
  c10::profiledCPUMemoryReporter().New(memory, size);
  return {memory, memory, &give_back, at::Device(at::kCPU)};
}

at::DeleterFnPtr KeptMemory::raw_deleter() const { return &give_back; }

void* KeptMemory::take(size_t size) {
  const std::lock_guard lock(mutex_);
  const auto newest = std::find_if(free_.rbegin(), free_.rend(),
                                   [&](const Block& block) { return block.size == size; });
  void* memory = nullptr;
  if (newest != free_.rend()) {
    memory = newest->memory;
    free_.erase(std::next(newest).base());
    free_bytes_ -= size;
  } else {
    make_room(size);
    memory = c10::alloc_cpu(size);
  }
  used_.emplace(memory, size);
  used_bytes_ += size;
  most_used_bytes_ = std::max(most_used_bytes_, used_bytes_);
  return memory;
}

// What is used and what is free are together at most what was once used at the same time.
void KeptMemory::make_room(size_t size) {
  const size_t most = std::max(most_used_bytes_, used_bytes_ + size);
  while (!free_.empty() && used_bytes_ + free_bytes_ + size > most) release_oldest();
}

void KeptMemory::release_oldest() {
  c10::free_cpu(free_.front().memory);
  free_bytes_ -= free_.front().size;
  free_.erase(free_.begin());
}

bool KeptMemory::take_back(void* memory) {
  const std::lock_guard lock(mutex_);
  const auto used = used_.find(memory);
  if (used == used_.end()) return false;
  free_.push_back({memory, used->second});
  free_bytes_ += used->second;
  used_bytes_ -= used->second;
  used_.erase(used);
  c10::profiledCPUMemoryReporter().Delete(memory);
  return true;
}

void KeptMemory::release() {
  const std::lock_guard lock(mutex_);
  while (!free_.empty()) release_oldest();
  most_used_bytes_ = used_bytes_;
}

}  // namespace

void keep_freed_memory() { c10::SetCPUAllocator(&kept_memory(), /*priority=*/1); }

void release_kept_memory() { kept_memory().release(); }

}  // namespace mcloss
