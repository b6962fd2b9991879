// Opening and closing stores of decoded images.
#pragma once

#include <napi.h>

namespace mcloss {

void export_stores(Napi::Env env, Napi::Object exports);

}  // namespace mcloss
