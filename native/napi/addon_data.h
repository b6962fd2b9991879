// What the add-on keeps per JavaScript environment; nothing is kept outside it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>

namespace mcloss {

class PixelStore;
class Worker;

struct AddonData {
  Napi::FunctionReference error_class;    // McLossError (code, message); empty until set
  Napi::FunctionReference trainer_class;  // NativeTrainer
  std::set<Worker*> workers;              // running
  std::map<int64_t, std::shared_ptr<const PixelStore>>
      stores;  // open, by the number JavaScript has
  int64_t stores_opened = 0;
};

}  // namespace mcloss
