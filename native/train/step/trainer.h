// The training step, evaluation, statistics and weights of one model on one device. Not
// thread-safe: every call comes from one thread (napi/worker).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/weights.h"
#include "types.h"

namespace mcloss {

class Trainer {
 public:
  // Refuses before any work: unknown names, a head or a loss that the model does not go with
  // (E_CONFIG), options and sizes that cannot be (E_ARGUMENT), a device that is not there (E_DEVICE).
  explicit Trainer(const TrainerConfig& config);
  ~Trainer();

  // as_it_is: operator by operator, also if a recording could be replayed or made.
  void step(const Batch& batch, const StepArgs& args, bool as_it_is = false);
  StepStats stats();  // since the last call; waits for the device
  // Both throw E_CONFIG for the average of a trainer without one.
  EvalStats evaluate(const Batch& batch, const InferArgs& args = {});
  // Logits, [count, num_classes] row-major.
  std::vector<float> predict(const Batch& batch, const InferArgs& args = {});
  // The same with what the last layer made them of.
  Embedded embed(const Batch& batch, const InferArgs& args = {});
  // Maps of the named channels: float [count, channels.size(), H, W]; shape comes back in `shape`.
  std::vector<float> features(const Batch& batch, const std::vector<int64_t>& channels,
                              std::vector<int64_t>& shape);

  // Writes model.safetensors (with metadata, a JSON text), with an average of the weights the same of
  // those as ema.safetensors, and optimizer.safetensors into an existing folder.
  void save(const std::string& dir, const std::string& metadata);
  // Reads them back. ema: null where there is none.
  void load(const WeightFile& model, const WeightFile& optimizer, const WeightFile* ema);
  // Weights alone. Throws E_WEIGHTS as Classifier::match and for values that are refused; the model is
  // then as it was.
  Taken load_weights(const WeightFile& file, const TakeOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mcloss
