// The plain records every native layer speaks, and the one exception type.
// No tensor and no LibTorch header belongs here.
//
// A record that JavaScript gives or gets states its fields once: fields(v) calls v(name, field) for
// each, with JavaScript's name, and v.optional where it may be left out. What a number may be follows
// as a Range; an enumeration's names are those of names_of, in the order of its values.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
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

// What a number from outside may be, both ends included. words: for the refusal; left out: least..most.
struct Range {
  double least = 0, most = 9007199254740991.0;  // 2^53 - 1
  const char* words = nullptr;
};
constexpr int64_t max_size = 1 << 24;  // of a batch, a map, a model

namespace ranges {
constexpr Range not_negative{0, std::numeric_limits<double>::max(), "a finite number >= 0"};
constexpr Range positive{std::numeric_limits<double>::min(), std::numeric_limits<double>::max(),
                         "a finite number > 0"};
constexpr Range finite{std::numeric_limits<double>::lowest(), std::numeric_limits<double>::max(),
                       "a finite number"};
constexpr Range up_to_one{std::numeric_limits<double>::min(), 1, "in (0, 1]"};
constexpr Range below_one{0, 1 - std::numeric_limits<double>::epsilon() / 2, "in [0, 1)"};
constexpr Range inside_one{std::numeric_limits<double>::min(), below_one.most, "in (0, 1)"};
constexpr Range size{1, max_size};
constexpr Range width{0, max_size, "such that the model fits into memory"};
constexpr Range width_per_class{0, max_size / 256, width.words};
constexpr Range one_rank{0, 0, "0 (this version trains on one device)"};
constexpr Range one_process{1, 1, "1 (this version trains on one device)"};
}  // namespace ranges

enum class LossForm { paper, official };
enum class MaskScope { batch, sample };
enum class Impl { fused, reference };  // our kernels, or LibTorch's own operators
enum class Pool { max, mean };         // over the channels of a class
enum class Pooling { sum, isqrt };     // models/bilinear_pooling.h
enum class Precision { fp32, bf16 };
enum class CudaGraph { where_possible, off };

constexpr auto names_of(LossForm) { return std::array{"paper", "official"}; }
constexpr auto names_of(MaskScope) { return std::array{"batch", "sample"}; }
constexpr auto names_of(Impl) { return std::array{"fused", "reference"}; }
constexpr auto names_of(Pool) { return std::array{"max", "mean"}; }
constexpr auto names_of(Pooling) { return std::array{"sum", "isqrt"}; }
constexpr auto names_of(Precision) { return std::array{"fp32", "bf16"}; }
constexpr auto names_of(CudaGraph) { return std::array{"auto", "off"}; }

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

  template <typename V>
  void fields(V& v) {
    v("form", form);
    if (form == LossForm::paper) {
      v("mu", mu, ranges::not_negative);
      v("lambda", lambda, ranges::not_negative);
    } else {
      v("alpha", alpha, ranges::not_negative);
      v("beta", beta, ranges::not_negative);
    }
  }
};

using Scalar = std::variant<double, bool, std::string>;

// A loss by its name, with its options as JavaScript gave them: which there are is the loss's own
// matter (losses/options.h).
struct LossConfig {
  using Value = Scalar;
  std::string name = "cross-entropy";
  std::map<std::string, Value> options;

  template <typename V>
  void fields(V& v) {
    v("name", name);
    v.others(options, "name");
  }
};

// How the last layer of a head makes logits of its input x (models/last_layer.h).
enum class ClassifierKind { linear, cosine, distance };
constexpr auto names_of(ClassifierKind) { return std::array{"linear", "cosine", "distance"}; }

// z = factor * cos(x, W_k). 0, in JavaScript 'norm', means the length of x.
struct CosineScale {
  double factor = 0;
  CosineScale(double factor = 0) : factor(factor) {}
  operator double() const { return factor; }
};

struct ClassifierConfig {
  ClassifierKind kind = ClassifierKind::linear;
  CosineScale scale;  // of cosine alone

  template <typename V>
  void fields(V& v) {
    v("kind", kind);
    if (kind == ClassifierKind::cosine) v("scale", scale);
  }
};

struct ModelConfig {
  std::string backbone;  // resnet18 resnet50 vgg16 vgg16_bn vgg-small toy
  std::string head;      // torchvision linear two-layer bilinear
  int64_t num_classes = 0;
  int64_t channels_per_class =
      0;  // 0: the backbone's own width; xi > 0: widened to numClasses * xi
  int64_t input_height = 0, input_width = 0;  // the crop the network sees, pixels
  Impl impl = Impl::fused;         // of 3x3 convolutions and of batch norm + residual + ReLU
  bool freeze_batch_norm = false;  // the backbone's: running statistics are used and stay
  ClassifierConfig classifier;
  int64_t reduction =
      0;  // of bilinear alone, as pooling: channels that the map is reduced to; 0: all
  Pooling pooling = Pooling::sum;

  template <typename V>
  void fields(V& v) {
    v("backbone", backbone);
    v("head", head);
    v("numClasses", num_classes, ranges::width);
    v("channelsPerClass", channels_per_class, ranges::width_per_class);
    v.object("input", [this](auto& input) {
      input("height", input_height, ranges::size);
      input("width", input_width, ranges::size);
    });
    v.optional("impl", impl);
    v.optional("freezeBatchNorm", freeze_batch_norm);
    v.optional("classifier", classifier);
    v.optional("reduction", reduction, ranges::size);
    v.optional("pooling", pooling);
  }
};

enum class OptimizerKind { sgd, adamw };
constexpr auto names_of(OptimizerKind) { return std::array{"sgd", "adamw"}; }

// A second set of weights: the average over the steps (train/step/ema.h).
struct EmaConfig {
  double decay = 0;          // 0: none
  int64_t warmup_steps = 0;  // before the average begins

  template <typename V>
  void fields(V& v) {
    v("decay", decay, ranges::inside_one);
    v("warmupSteps", warmup_steps);
  }
};

struct OptimConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.9;  // of sgd alone, as nesterov
  bool nesterov = false;
  std::array<double, 2> betas{0.9, 0.999};  // of adamw alone, as eps
  double eps = 1e-8;
  double weight_decay = 0;
  bool decay_norm_and_bias = true;  // false: not of parameters with at most one dimension
  double head_lr_scale = 1;         // the head's learning rate = lr * head_lr_scale
  double clip_grad_norm = 0;        // the most that the norm of all gradients may be; 0: any
  EmaConfig ema;

  template <typename V>
  void fields(V& v) {
    v.optional("name", kind);
    if (kind == OptimizerKind::sgd) {
      v("momentum", momentum, ranges::below_one);
      v("nesterov", nesterov);
    } else {
      v("betas", betas, ranges::below_one);
      v("eps", eps, ranges::positive);
    }
    v("weightDecay", weight_decay, ranges::not_negative);
    v.optional("decayNormAndBias", decay_norm_and_bias);
    v("headLrScale", head_lr_scale, ranges::not_negative);
    v.optional("clipGradNorm", clip_grad_norm, ranges::positive);
    v.optional("ema", ema);
  }
};

// What decides speed and reproducibility beside precision, layout and threads. All but cuda_graph are
// LibTorch's and hold for the whole process: the trainer created last decides.
struct RunSettings {
  bool cudnn_benchmark = true;  // time cuDNN's algorithms once a shape and keep the fastest
  bool tf32 = true;             // fp32 products on a GPU rounded to 10 bits of mantissa
  bool deterministic = false;   // the same bits in every run on one machine; no benchmark then
  CudaGraph cuda_graph = CudaGraph::where_possible;  // replay the step as one CUDA graph

  template <typename V>
  void fields(V& v) {
    v("cudnnBenchmark", cudnn_benchmark);
    v("tf32", tf32);
    v("deterministic", deterministic);
    v("cudaGraph", cuda_graph);
  }
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
  // [K], of cross entropy (losses/cross_entropy.h); empty: all 1.
  std::vector<double> class_weights;

  template <typename V>
  void fields(V& v) {
    v("model", model);
    v("loss", loss);
    v("optim", optim);
    v("initSeed", init_seed);
    v("device", device);
    v("precision", precision);
    v("channelsLast", channels_last);
    v("threads", threads, Range{1, 1024});
    v("settings", settings);
    v("mean", mean);
    v("std", std);
    v("rank", rank, ranges::one_rank);
    v("worldSize", world_size, ranges::one_process);
    v.optional("classWeights", class_weights, ranges::not_negative);
  }
};

// Where a file keeps a tensor. TypeScript reads the headers (lib/weights), native the bytes.
struct StoredTensor {
  std::string name, dtype;              // dtype: as safetensors says it, F32
  std::vector<int64_t> shape, strides;  // strides: elements
  int64_t offset = 0;                   // of its first element in the storage, elements
  int64_t begin = 0, end = 0;           // the storage in the file, bytes

  template <typename V>
  void fields(V& v) {
    v("name", name);
    v("dtype", dtype);
    v("shape", shape);
    v("strides", strides);
    v("offset", offset);
    v.object("storage", [this](auto& storage) {
      storage("begin", begin);
      storage("end", end);
    });
  }
};

// An open file of weights.
struct WeightTable {
  int fd = -1;
  std::string path, format;  // for messages
  std::vector<StoredTensor> tensors;

  template <typename V>
  void fields(V& v) {
    v("fd", fd, Range{0, std::numeric_limits<int>::max()});
    v("path", path);
    v("format", format);
    v("tensors", tensors);
  }
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
  const int32_t* erased = nullptr;  // [count, 4]: top, left, height, width inside the crop; or null
  const int32_t* labels = nullptr;  // [count], or null where none are needed
};

struct StepArgs {
  int64_t step = 0;              // of the whole run, from 0; with seed it decides masks and dropout
  uint64_t seed = 0;             // the run's seed
  double lr = 0;                 // of the backbone; the head's is lr * head_lr_scale
  double scalar = 0;             // for the loss, from its schedule
  int64_t micro_batch = 0;       // samples per forward and backward; 0: the whole batch at once
  bool freeze_backbone = false;  // only the head and the loss's own parameters train

  template <typename V>
  void fields(V& v) {
    v("step", step, Range{0, 4294967295.0, "0..2^32-1"});
    v("seed", seed);
    v("lr", lr, ranges::not_negative);
    v.optional("scalar", scalar, ranges::finite);
    v.optional("microBatch", micro_batch, ranges::size);
    v.optional("freezeBackbone", freeze_backbone);
  }
};

enum class ModelWeights { raw, ema };
constexpr auto names_of(ModelWeights) { return std::array{"raw", "ema"}; }

struct InferArgs {
  ModelWeights weights = ModelWeights::raw;

  template <typename V>
  void fields(V& v) {
    v.optional("weights", weights);
  }
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

  template <typename V>
  void fields(V& v) {
    v("steps", steps);
    v("skipped", skipped);
    v("n", n);
    v("correct", correct);
    v("loss", loss);
    v("parts", parts);
    v("gradNorm", grad_norm);
    v("ms", ms);
    v("warnings", warnings);
  }
};

struct EvalStats {
  int64_t n = 0, top1 = 0, top5 = 0;  // counts
  double loss_sum = 0;                // cross entropy without class weights, summed over samples
  std::vector<int32_t> predictions;   // [n], the class of the largest logit
  std::vector<float> predicted_probabilities, label_probabilities;  // [n], of the softmax

  template <typename V>
  void fields(V& v) {
    v("n", n);
    v("top1", top1);
    v("top5", top5);
    v("lossSum", loss_sum);
    v("predictions", predictions);
    v("predictedProbabilities", predicted_probabilities);
    v("labelProbabilities", label_probabilities);
  }
};

struct Embedded {
  std::vector<float> embedding, logits;  // [n, D], the input of the last layer; [n, K]

  template <typename V>
  void fields(V& v) {
    v("embedding", embedding);
    v("logits", logits);
  }
};

}  // namespace mcloss
