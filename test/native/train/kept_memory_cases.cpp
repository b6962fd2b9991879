// Memory of CPU tensors that is kept for later ones (native/train/device/kept_memory.h).
#include <ATen/Functions.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "cases.h"
#include "check.h"
#include "train/device/kept_memory.h"

namespace test {
namespace {

constexpr int64_t mebibyte = int64_t{1} << 20;

at::Tensor filled(int64_t bytes, int value) { return at::full({bytes}, value, at::kByte); }

// The process's resident memory, bytes, without what malloc has free: a large block may lie within the heap
// that earlier cases have left.
int64_t resident() {
  malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, there = 0;
  file >> all >> there;
  return there * sysconf(_SC_PAGESIZE);
}

bool is_whole(const at::Tensor& tensor, int value) { return tensor.eq(value).all().item<bool>(); }

void serves_again() {
  void* const first = filled(3 * mebibyte, 1).data_ptr();
  const at::Tensor same = at::empty({3 * mebibyte - 5}, at::kByte);
  check(same.data_ptr() == first, "kept memory: what a tensor freed serves the next of its size");
  const at::Tensor other = at::empty({3 * mebibyte}, at::kByte);
  check(other.data_ptr() != first, "kept memory: what is in use serves nobody else");
}

void is_bounded() {
  mcloss::release_kept_memory();  // and with it how much was used before
  const int64_t before = resident();
  for (int64_t size = 32; size < 64; size++) filled(size * mebibyte, 1);
  const int64_t grown = resident() - before;
  check(grown < 80 * mebibyte,
        "kept memory: 32 tensors of other sizes, one after the other, hold " +
            std::to_string(grown / mebibyte) + " MiB");
}

void is_released() {
  filled(256 * mebibyte, 1);
  const int64_t before = resident();
  mcloss::release_kept_memory();
  const int64_t given = before - resident();
  check(given >= 250 * mebibyte,
        "kept memory: " + std::to_string(given / mebibyte) + " of 256 MiB were given back");
}

// LibTorch frees by the allocator of the moment what it took from the one before.
void frees_of_others() {
  void* const memory = c10::GetDefaultCPUAllocator()->allocate(256 * mebibyte).release_context();
  std::memset(memory, 1, 256 * mebibyte);
  const int64_t before = resident();
  c10::GetCPUAllocator()->raw_deallocate(memory);
  check(before - resident() >= 250 * mebibyte, "kept memory: memory of another allocator is freed");
  void* const raw = c10::GetCPUAllocator()->raw_allocate(5 * mebibyte);
  c10::GetCPUAllocator()->raw_deallocate(raw);
  check(at::empty({5 * mebibyte}, at::kByte).data_ptr() == raw,
        "kept memory: raw memory is kept as that of tensors");
}

void threads_share() {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int thread = 0; thread < 4; thread++) {
    threads.emplace_back([thread, &wrong] {
      std::vector<at::Tensor> held(5);
      for (int round = 0; round < 200; round++) {
        at::Tensor& one = held[round % 5];
        if (one.defined() && !is_whole(one, 50 * thread + (round - 5) % 50)) ++wrong;
        one = filled(mebibyte / 4 * (1 + (round * 7 + thread) % 6), 50 * thread + round % 50);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  check(wrong == 0, "kept memory: four threads never share a block");
}

}  // namespace

void kept_memory() {
  test_case("kept memory: serves again", serves_again);
  test_case("kept memory: bounded", is_bounded);
  test_case("kept memory: released", is_released);
  test_case("kept memory: of others", frees_of_others);
  test_case("kept memory: threads", threads_share);
}

}  // namespace test
