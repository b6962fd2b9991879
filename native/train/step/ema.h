// The exponential moving average of a model's weights, beside the weights that train. After each
// step that is not skipped every parameter and running statistic a of the average moves towards its
// own w of the model, a += (1 - decay) * (w - a), and counters are copied: as ModelEmaV3 of timm
// with its buffers. The average begins as a copy of the weights after the first step, or after
// `warmupSteps` more: there the update_after_step of ModelEmaV3.
#pragma once

#include <vector>

#include "io/weights.h"
#include "types.h"

namespace mcloss {

class Ema {
 public:
  // model: Classifier::state().
  Ema(const EmaConfig& config, NamedTensors model);

  // Makes the average, a copy of the weights, unless it is there: as Optimizer::prepare.
  void prepare();
  // After prepare(). skip: bool scalar on the device; where it is true nothing changes.
  void update(const at::Tensor& skip);

  // Both prepare. The average under the model's names; what a checkpoint keeps besides.
  NamedTensors average();
  NamedTensors state();

  // While it lives the model's tensors hold the average. Pointers are exchanged, nothing is copied.
  class Lent {
   public:
    explicit Lent(Ema& ema) : ema_(ema) { ema_.exchange(); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() { ema_.exchange(); }

   private:
    Ema& ema_;
  };

 private:
  void exchange();

  const EmaConfig config_;
  NamedTensors model_;
  std::vector<at::Tensor> average_;  // empty until prepare()
  at::Tensor updates_;               // int64 scalar on the device: steps that were not skipped
};

}  // namespace mcloss
