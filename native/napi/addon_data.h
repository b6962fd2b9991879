// What the add-on keeps per JavaScript environment; nothing is kept outside it.
#pragma once

#include <napi.h>

#include <set>

namespace mcloss {

class Worker;

struct AddonData {
  Napi::FunctionReference error_class;    // McLossError (code, message); empty until set
  Napi::FunctionReference trainer_class;  // NativeTrainer
  std::set<Worker*> workers;              // running
};

}  // namespace mcloss
