// The CUDA kernels of native/ops on the CPU: the operators' own cases with the kernels in their place and
// beside the CPU operators in each call; then whether a fault would be found.
#include "cases.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "check.h"
#include "emulation/block.h"
#include "emulation/comparison.h"
#include "emulation/memory.h"
#include "emulation/planted.h"
#include "ops/batch_norm_act.h"
#include "ops/cwa_mask.h"
#include "ops/mc_loss/case.h"
#include "ops/seed_step.h"

namespace test {
namespace {

using emulation::Order;
constexpr Order kOrders[] = {{}, {Order::reverse}, {Order::random, 1}, {Order::random, 2}};

// What the launch says is wrong, or nothing.
template <typename Launch>
std::string fault_of(const Launch& launch) {
  try {
    launch();
    return "";
  } catch (const emulation::Fault& fault) {
    return fault.what();
  }
}

void planted_faults() {
  const at::Tensor from = at::arange(kPlantedBlocks * kPlantedThreads, at::kFloat);
  const std::tuple<Plant, const char*> plants[] = {
      {Plant::none, ""},
      {Plant::uninitialised_dynamic, "uninitialised shared memory"},
      {Plant::uninitialised_static, "uninitialised shared memory"},
      {Plant::beyond_dynamic, "outside of every shared variable"},
      {Plant::beyond_static, "outside of every shared variable"},
      {Plant::before_tensor, "outside of every tensor"},
      {Plant::beyond_tensor, "outside of every tensor"},
      {Plant::write_beyond_tensor, "outside of every tensor"},
      {Plant::divergent_barrier, "divergent barrier"},
      {Plant::early_end, "divergent barrier"},
      {Plant::divergent_shuffle, "divergent"},
      {Plant::race, "shared memory"},
      {Plant::no_fence, "accesses what another block wrote without a __threadfence"},
      {Plant::early_last, "overwrites what another block read"}};
  for (const Order& order : kOrders) {
    emulation::set_order(order);
    for (const auto& [plant, words] : plants) {
      const at::Tensor partial = at::empty({kPlantedBlocks}, at::kFloat);
      const at::Tensor done = at::zeros({1}, at::kInt), to = at::empty({1}, at::kFloat);
      const std::string fault = fault_of([&, which = plant] {
        launch_planted(which, from.const_data_ptr<float>(), partial.data_ptr<float>(),
                       reinterpret_cast<unsigned*>(done.data_ptr<int>()), to.data_ptr<float>());
      });
      const std::string what = c10::str("plant ", static_cast<int>(plant), ": ", fault);
      if (plant == Plant::none) {
        check(fault.empty() && to.equal(from.sum().view({1})) && done.item<int>() == 0, what);
      } else {
        const bool found = check(fault.find(words) != std::string::npos, what);
        if (found && order.kind == Order::forward) std::printf("found: %s\n", fault.c_str());
      }
    }
  }
  emulation::set_order({});
}

// The lines with __syncthreads under native/ops.
std::vector<emulation::Site> barriers(const std::filesystem::path& native) {
  std::vector<emulation::Site> sites;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(native / "ops")) {
    const std::string ending = entry.path().extension();
    if (ending != ".cu" && ending != ".cuh") continue;
    std::ifstream file(entry.path());
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (line.find("__syncthreads()") == std::string::npos) continue;
      sites.emplace_back(std::filesystem::relative(entry.path(), native), number);
    }
  }
  return sites;
}

// Calls that pass every barrier.
void all_kernels() {
  Random random(3);
  const at::Tensor values = random.uniform({2, 70, 6, 6}).to(at::kFloat);
  for (const Layout layout : {Layout::contiguous, Layout::channels_last}) {
    const at::Tensor x = lay_out(values, layout).set_requires_grad(true);
    mcloss::batch_norm_act(x, {}, {}, {}, {}, {}, {}).sum().backward();
    const at::Tensor target = at::zeros({2}, at::kLong);
    mcloss::mc_loss(x, target, 2, std::nullopt, {.dis = 1, .div = 1}).loss.backward();
  }
  mcloss::cwa_mask(mcloss::ChannelGroups(150, 1), mcloss::Keep{0.5}, mcloss::MaskScope::batch,
                   mcloss::make_seed_step(1, 2), 1);
}

void left_out_barriers(const std::filesystem::path& native) {
  for (const emulation::Site& site : barriers(native)) {
    const std::string name = c10::str("__syncthreads at ", site.first, ":", site.second);
    bool found = check(emulation::sites_reached().count(site) == 1, name + " is reached");
    for (const Order& order : kOrders) {
      emulation::set_order(order);
      emulation::leave_out(site);
      found &= check(!fault_of(all_kernels).empty(), name + ", left out, is found");
    }
    if (found) std::printf("found: left out, %s\n", name.c_str());
  }
  emulation::leave_out({});
  emulation::set_order({});
  check(fault_of(all_kernels).empty(), "nothing left out, nothing found");
}

}  // namespace

void kernels(const std::string& fixtures) {
  emulation::take_over_allocations();
  at::set_num_threads(1);  // shapes are small, and what waits takes processor time
  const emulation::Comparison comparison;
  small_shapes(10);
  channel_groups();  // the masks and scales that kernels draw
  mc_loss_fixtures(fixtures + "/mc-loss");
  mc_loss_gradients();
  mc_loss_differential();
  mc_loss_edges();
  gather_augment_cases(fixtures + "/jitter");
  gather_augment_edges();
  batch_norm_act_differential();
  batch_norm_act_edges();
  batch_norm_act_parts();
  step_sums();
  comparison.report();
  test_case("emulation: planted faults", planted_faults);
  test_case("emulation: left-out barriers", [&] { left_out_barriers(fixtures + "/../../native"); });
  const auto [launches, blocks, barriers] = emulation::counts();
  std::printf("%llu launches, %llu blocks, %llu barriers\n",
              static_cast<unsigned long long>(launches), static_cast<unsigned long long>(blocks),
              static_cast<unsigned long long>(barriers));
}

}  // namespace test
