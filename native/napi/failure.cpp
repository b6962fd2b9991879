#include "napi/failure.h"

#include <c10/util/Exception.h>

#include <new>

#include "napi/addon_data.h"
#include "types.h"

namespace mcloss {
namespace {

const char* const memory_advice =
    "out of memory. Lower optim.batchSize, raise optim.gradAccumSteps, or use a smaller crop. ";

const char* const native_advice =
    "mcloss: a native operation failed where nothing wrong was given; please report it with the "
    "run's config.json: ";

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const c10::OutOfMemoryError& error) {
    return {"E_OOM", memory_advice + std::string(error.what_without_backtrace())};
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    // LibTorch's CPU allocator has no exception type of its own.
    if (message.find("DefaultCPUAllocator") != std::string::npos) {
      return {"E_OOM", memory_advice + message};
    }
    return {"E_NATIVE", native_advice + message};
  } catch (const std::bad_alloc&) {
    return {"E_OOM", memory_advice};
  } catch (const std::exception& error) {
    return {"E_NATIVE", native_advice + std::string(error.what())};
  } catch (...) {
    return {"E_NATIVE", native_advice + std::string("an exception of unknown type")};
  }
}

Napi::Error to_js_error(Napi::Env env, const Failure& failure) {
  const auto* data = env.GetInstanceData<AddonData>();
  const auto message = Napi::String::New(env, failure.message);
  const auto code = Napi::String::New(env, failure.code);
  if (!data->error_class.IsEmpty()) {
    return Napi::Error(env, data->error_class.New({code, message}));
  }
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Value()["code"] = code;
  return error;
}

}  // namespace mcloss
