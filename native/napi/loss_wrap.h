// computeLoss: a loss on its last layer, once, on arrays of JavaScript's.
#pragma once

#include <napi.h>

namespace mcloss {

void export_losses(Napi::Env env, Napi::Object exports);

}  // namespace mcloss
