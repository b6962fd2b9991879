// at::parallel_for in our files is silently serial where they are compiled without OpenMP. Each
// chunk of mc_loss allocates its buffers on its own thread: this program's operator new notes
// which threads allocate while it listens.
#include <ATen/Parallel.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include <pthread.h>
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "cases.h"
#include "check.h"
#include "ops/mc_loss.h"

namespace {

std::atomic<bool> listening{false};
std::array<std::atomic<pthread_t>, 64> seen{};

void note_thread() {
  const pthread_t self = pthread_self();
  for (auto& slot : seen) {
    pthread_t empty = 0;
    if (slot == self || slot.compare_exchange_strong(empty, self) || empty == self) return;
  }
}

}  // namespace

void* operator new(std::size_t size) {
  if (listening) note_thread();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace test {
namespace {

void same_bits() {
  const int before = at::get_num_threads();
  const at::Tensor features = at::rand({4, 40, 14, 14}).set_requires_grad(true);
  const at::Tensor target = at::zeros({4}, at::kLong);
  const mcloss::McTerms terms{.dis = 1, .per_xi = 10};
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    for (auto& slot : seen) slot = 0;
    listening = true;
    const auto result = mcloss::mc_loss(features, target, 8, {}, terms);
    listening = false;
    int64_t count = 0;
    for (const auto& slot : seen) count += slot != 0;
    features.mutable_grad() = at::Tensor();
    result.loss.backward();
    return std::tuple{count, result, features.grad()};
  };
  const auto [one, of_one, grad_of_one] = run(1);
  const auto [two, of_two, grad_of_two] = run(2);
  check(one == 1, "one thread works where one is asked for, not " + std::to_string(one));
  check(two == 2, "two threads work where two are asked for, not " + std::to_string(two));
  check(of_one.loss.equal(of_two.loss) && of_one.class_scores.equal(of_two.class_scores) &&
            of_one.diversity.equal(of_two.diversity) && grad_of_one.equal(grad_of_two),
        "same bits from one and two threads");
  at::set_num_threads(before);
}

}  // namespace

void threads() { test_case("threads: asked for, and the same bits", same_bits); }

}  // namespace test
