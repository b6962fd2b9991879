// What the add-on keeps per JavaScript environment; nothing is kept outside it.
#pragma once

#include <napi.h>

namespace mcloss {

struct AddonData {
  Napi::FunctionReference error_class;    // McLossError (code, message); empty until set
  Napi::FunctionReference trainer_class;  // NativeTrainer
};

}  // namespace mcloss
