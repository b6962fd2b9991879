// The plain records every native layer speaks, and the one exception type.
// No tensor and no LibTorch header belongs here.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mcloss {

// Becomes a JavaScript McLossError with the same `code` (lib/errors.ts lists the codes).
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

enum class LossForm { paper, official };
enum class MaskScope { batch, sample };
enum class Impl { fused, reference };  // our kernels, or LibTorch's own operators
enum class Precision { fp32, bf16 };

// How many of a class's xi channels the channel-wise attention mask keeps.
// ratio == 0 means ceil(xi / 2); otherwise clamp(round(ratio * xi), 1, xi).
struct Keep {
  double ratio = 0;
};

// Weights of the two terms. paper: mu * (L_dis - lambda * L_div);
// official: alpha * L_dis + beta * mean(1 - h / xi).
struct McWeights {
  LossForm form = LossForm::official;
  double mu = 0, lambda = 0;   // paper
  double alpha = 0, beta = 0;  // official
};

// A loss by its name, with its options as JavaScript gave them: which there are is the loss's own
// matter (losses/options.h).
struct LossConfig {
  using Value = std::variant<double, bool, std::string>;
  std::string name = "cross-entropy";
  std::map<std::string, Value> options;
};

// How the last layer of a head makes logits of its input x (models/last_layer.h).
enum class ClassifierKind { linear, cosine, distance };
struct ClassifierConfig {
  ClassifierKind kind = ClassifierKind::linear;
  double scale = 0;  // of cosine: z = scale * cos; 0 means the length of x
};

struct ModelConfig {
  std::string backbone;  // resnet18 resnet50 vgg16 vgg16_bn vgg-small toy
  std::string head;      // torchvision linear two-layer
  int64_t num_classes = 0;
  int64_t channels_per_class =
      0;  // 0: the backbone's own width; xi > 0: widened to numClasses * xi
  int64_t input_height = 0, input_width = 0;  // the crop the network sees, pixels
  Impl impl = Impl::fused;  // of 3x3 convolutions and of batch norm + residual + ReLU
  ClassifierConfig classifier;
};

struct OptimConfig {
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0;
  double head_lr_scale = 1;  // the head's learning rate = lr * head_lr_scale
};

// What decides speed and reproducibility beside precision, layout and threads. All but cuda_graph are
// LibTorch's and hold for the whole process: the trainer created last decides.
struct RunSettings {
  bool cudnn_benchmark = true;  // time cuDNN's algorithms once a shape and keep the fastest
  bool tf32 = true;             // fp32 products on a GPU rounded to 10 bits of mantissa
  bool deterministic = false;   // the same bits in every run on one machine; no benchmark then
  bool cuda_graph = true;       // replay the step as one CUDA graph where that can be done
};

struct TrainerConfig {
  ModelConfig model;
  LossConfig loss;
  OptimConfig optim;
  uint64_t init_seed = 0;
  std::string device = "cpu";  // or "cuda"
  Precision precision = Precision::fp32;
  bool channels_last = true;
  int threads = 1;  // LibTorch's intra-op threads on the trainer's own thread
  RunSettings settings;
  std::array<float, 3> mean{0.5f, 0.5f, 0.5f}, std{0.5f, 0.5f, 0.5f};  // of pixels scaled to 0..1
  int rank = 0, world_size = 1;
};

class PixelStore;  // io/pixel_store.h

// What TypeScript hands over for one batch; the memory stays the caller's until the call settles.
// Its images are `pixels` or, where there is a store, the store's `rows`.
struct Batch {
  int64_t count = 0;
  const uint8_t* pixels = nullptr;  // [count, height, width, 3], RGB
  int64_t height = 0, width = 0;    // of `pixels`
  std::shared_ptr<const PixelStore> store;
  const int32_t* rows = nullptr;  // [count], images of the store
  const int32_t* windows =
      nullptr;  // [count, 3]: top, left, flip (0 or 1); top and left may be < 0
  const float* jitter =
      nullptr;  // [count, 3]: factors of brightness, contrast, saturation; or null
  const int32_t* labels = nullptr;  // [count], or null where none are needed
};

struct StepArgs {
  int64_t step = 0;         // of the whole run, from 0; with seed it decides masks and dropout
  uint64_t seed = 0;        // the run's seed
  double lr = 0;            // of the backbone; the head's is lr * head_lr_scale
  double scalar = 0;        // for the loss, from its schedule
  int64_t micro_batch = 0;  // samples per forward and backward; 0: the whole batch at once
};

// Sums and counts since the last call (divide by n, or by steps - skipped for gradNorm). Skipped steps add
// to `skipped` and `steps` alone.
struct StepStats {
  int64_t steps = 0, skipped = 0, n = 0, correct = 0;
  double loss = 0;                                    // sum over samples of the whole loss
  std::vector<std::pair<std::string, double>> parts;  // sums over samples, by name: ce, dis, div
  double grad_norm = 0;                               // sum of the 2-norm over steps not skipped
  double ms = 0;                                      // wall time inside steps
  std::vector<std::string> warnings;                  // each said once in the life of a trainer
};

struct EvalStats {
  int64_t n = 0, top1 = 0, top5 = 0;  // counts
  double loss_sum = 0;                // cross entropy, summed over samples
  std::vector<int32_t> predictions;   // [n], the class of the largest logit
};

}  // namespace mcloss
