// The add-on's entry: what it exports, in the order of lib/binding.ts, which declares it all.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <napi.h>
#include <torch/version.h>

#include <cstdlib>

#include "napi/addon_data.h"
#include "napi/failure.h"
#include "napi/fields.h"
#include "napi/loss_wrap.h"
#include "napi/ops_wrap.h"
#include "napi/store_wrap.h"
#include "napi/trainer_wrap.h"
#include "napi/worker.h"
#include "train/device/device.h"
#include "train/device/kept_memory.h"

namespace mcloss {
namespace {

Napi::Value device_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), cuda_device_count());
  });
}

Napi::Value device_memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(cuda_free_memory()));
  });
}

Napi::Value peak_device_memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(cuda_peak_memory()));
  });
}

void check_device(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&]() -> Napi::Value {
    require_device(string_of(info[0], "checkDevice"));
    return info.Env().Undefined();
  });
}

Napi::Value cuda_version(Napi::Env env) {
  const auto& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCUDART()) return env.Null();
  const int64_t version = hooks.versionCUDART();  // 1000 * major + 10 * minor
  return Napi::String::New(
      env, std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10));
}

Napi::Value cudnn_version(Napi::Env env) {
  const auto& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCuDNN()) return env.Null();
  const int64_t version = hooks.versionCuDNN();  // 10000 * major + 100 * minor + patch, since 9
  return Napi::String::New(env, std::to_string(version / 10000) + "." +
                                    std::to_string(version / 100 % 100) + "." +
                                    std::to_string(version % 100));
}

Napi::Value build_info(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Object object = Napi::Object::New(info.Env());
    object["libtorch"] = TORCH_VERSION;
    object["cuda"] = cuda_version(info.Env());
    object["cudnn"] = cudnn_version(info.Env());
    object["compiler"] = "g++ " __VERSION__;
    object["cppStandard"] = static_cast<double>(__cplusplus / 100 % 100);
    object["cpuCapability"] = at::get_cpu_capability();
    return object;
  });
}

void set_error_class(const Napi::CallbackInfo& info) {
  info.Env().GetInstanceData<AddonData>()->error_class =
      Napi::Persistent(info[0].As<Napi::Function>());
}

// process.exit() ends the process without the environment's cleanup hooks, and a step that runs on
// while LibTorch's static objects are destroyed crashes: so the threads are joined before it.
void close_workers_on_exit(Napi::Env env) {
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto close = [](const Napi::CallbackInfo& info) { Worker::close_all(info.Env()); };
  process.Get("once").As<Napi::Function>().Call(
      process, {Napi::String::New(env, "exit"), Napi::Function::New(env, close)});
}

// LibTorch then asks for huge pages under large CPU tensors, which it frees and allocates anew in every
// step: with pages of 4 KiB their first touch is a fifth of the step. A user's own setting stays. It is
// read at the first large allocation, so it is set before there can be one.
void ask_for_huge_pages() { setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  ask_for_huge_pages();
  keep_freed_memory();
  auto* const data = new AddonData;
  env.SetInstanceData(data);
  const Napi::Function trainer = TrainerWrap::define(env);
  data->trainer_class = Napi::Persistent(trainer);
  exports["NativeTrainer"] = trainer;
  export_ops(env, exports);
  export_losses(env, exports);
  export_stores(env, exports);
  exports["deviceCount"] = Napi::Function::New(env, device_count, "deviceCount");
  exports["freeDeviceMemory"] = Napi::Function::New(env, device_memory, "freeDeviceMemory");
  exports["peakDeviceMemory"] = Napi::Function::New(env, peak_device_memory, "peakDeviceMemory");
  exports["checkDevice"] = Napi::Function::New(env, check_device, "checkDevice");
  exports["buildInfo"] = Napi::Function::New(env, build_info, "buildInfo");
  exports["setErrorClass"] = Napi::Function::New(env, set_error_class, "setErrorClass");
  close_workers_on_exit(env);
  return exports;
}

}  // namespace
}  // namespace mcloss

using mcloss::init;
NODE_API_MODULE(mcloss, init)
