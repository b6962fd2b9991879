#include "train/device/device.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "train/device/gpu_code.h"
#include "types.h"

namespace mcloss {

int cuda_device_count() { return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; }

int64_t cuda_free_memory() {
  const at::Device device = require_device("cuda");
  return static_cast<int64_t>(
      at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first);
}

int64_t cuda_peak_memory() {
  const at::Device device = require_device("cuda");
  return peak_memory(*at::getDeviceAllocator(device.type()), device.index());
}

int64_t peak_memory(at::DeviceAllocator& allocator, at::DeviceIndex device) {
  if (!allocator.initialized()) return 0;  // then it has no statistics either
  constexpr auto all_kinds = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return allocator.getDeviceStats(device).allocated_bytes[all_kinds].peak;
}

at::Device require_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name != "cuda") {
    throw Error("E_CONFIG", "device: expected cpu or cuda but received '" + name + "'.");
  }
  if (cuda_device_count() == 0) {
    throw Error("E_DEVICE",
                "device: cuda was asked for, but this LibTorch sees no CUDA GPU. Run "
                "'npx mcloss doctor' to see why, or set device to cpu.");
  }
  const auto pixels = c10::Dispatcher::singleton().findSchemaOrThrow("mcloss::gather_augment", "");
  if (!pixels.hasKernelForDispatchKey(c10::DispatchKey::CUDA)) {
    throw Error(
        "E_DEVICE",
        "device: cuda was asked for, but this add-on was built without nvcc and has "
        "no CUDA operators. Install the CUDA toolkit, then run 'npx mcloss setup --force'.");
  }
  const std::string refusal = refusal_of(first_gpu(), compiled_architectures());
  if (!refusal.empty()) {
    throw Error("E_DEVICE", "device: cuda was asked for, but " + refusal +
                                ". Use a newer GPU, or set device to cpu.");
  }
  return {at::kCUDA, 0};
}

void use_own_stream(at::Device device) {
  if (!device.is_cuda()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.exchangeStream(guard.getStreamFromGlobalPool(device));
}

}  // namespace mcloss
