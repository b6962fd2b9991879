// The functions without a trainer: small ones answer at once, the rest run on libuv's threads with
// one LibTorch thread each.
#pragma once

#include <napi.h>

namespace mcloss {

void export_ops(Napi::Env env, Napi::Object exports);

}  // namespace mcloss
