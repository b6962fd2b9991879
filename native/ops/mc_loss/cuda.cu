// The fused MC-Loss on CUDA: the same results as mc_loss/loops.cpp, a block a (sample, class). The
// forward pass reads the map once where a group of xi * P values fits into 48 KiB of shared memory
// (as float32; double for float64): 62 channels at 14 x 14. Beyond that it reads it three times, the
// second and third time mostly from the second-level cache. The backward pass reads the map and
// writes the gradient once. Sums have a fixed order: the same input gives the same bits. Nothing waits
// for the device, and nothing but the results is allocated, so both passes can be captured in a graph.
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cstdint>
#include <limits>

#include "ops/kernel/packs.cuh"
#include "ops/kernel/reductions.cuh"
#include "ops/mc_loss/checks.h"

namespace mcloss {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp;
constexpr int kTermThreads = 1024;
constexpr int64_t kSharedBytes = 48 * 1024 - 256;  // the rest is for the reductions

template <typename T>
__device__ T infinity() {
  return std::numeric_limits<T>::infinity();
}

// ---- the map ----

// Strides in elements. `even`: the same distance from each position to the next.
template <typename S>
struct Map {
  S* data;
  int64_t sample, channel, row, column;
  int width;
  bool even;

  __device__ S* at(int64_t n, int64_t c) const { return data + n * sample + c * channel; }
  __device__ int64_t offset(int position) const {
    return even ? position * column : position / width * row + position % width * column;
  }
};

template <typename S>
Map<S> map_of(const at::Tensor& tensor) {
  return {static_cast<S*>(const_cast<void*>(tensor.const_data_ptr())),
          tensor.stride(0),
          tensor.stride(1),
          tensor.stride(2),
          tensor.stride(3),
          static_cast<int>(tensor.size(3)),
          tensor.stride(2) == tensor.size(3) * tensor.stride(3) || tensor.size(2) == 1};
}

// Whether the channels of a sample follow one another as rows of positions.
bool is_packed(const at::Tensor& tensor) {
  return tensor.stride(3) == 1 && (tensor.stride(2) == tensor.size(3) || tensor.size(2) == 1) &&
         tensor.stride(1) == tensor.size(2) * tensor.size(3);
}

// ---- forward ----

template <typename S, typename I>
struct ForwardArguments {
  using T = at::opmath_type<S>;
  GroupLayout groups;
  int64_t samples;
  int positions;
  bool packed, channels_first;  // channels_first: next channel nearer than next position
  Map<const S> features;
  const bool* mask;  // or null
  int64_t mask_stride;
  T *class_scores, *diversity, *channel_stats;
  I* winners;
};

// [size, positions] of one group into shared memory.
template <typename S, typename I>
__device__ void stage(const ForwardArguments<S, I>& a, const S* from, int size,
                      at::opmath_type<S>* staged) {
  using T = at::opmath_type<S>;
  const int count = size * a.positions;
  if (a.packed) {
    int done = 0;
    if (is_aligned(from)) {
      const auto* packs = reinterpret_cast<const Pack<S, kWide<S>>*>(from);
      for (int i = threadIdx.x; i < count / kWide<S>; i += kThreads) {
        const Pack<S, kWide<S>> pack = packs[i];
        for (int j = 0; j < kWide<S>; ++j) staged[i * kWide<S> + j] = static_cast<T>(pack.value[j]);
      }
      done = count / kWide<S> * kWide<S>;
    }
    for (int i = done + threadIdx.x; i < count; i += kThreads) staged[i] = static_cast<T>(from[i]);
    return;
  }
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const int c = a.channels_first ? i % size : i / a.positions;
    const int p = a.channels_first ? i / size : i % a.positions;
    staged[c * a.positions + p] =
        static_cast<T>(from[c * a.features.channel + a.features.offset(p)]);
  }
}

template <typename S, typename I, bool kStaged>
__global__ void __launch_bounds__(kThreads) forward_kernel(const ForwardArguments<S, I> a) {
  using T = at::opmath_type<S>;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ T room[kWarps];
  T* const staged = reinterpret_cast<T*>(shared);

  const int64_t group = blockIdx.x;
  const int64_t sample = group / a.groups.num_classes, cls = group % a.groups.num_classes;
  const int64_t begin = a.groups.begin(cls);
  const int size = static_cast<int>(a.groups.size(cls));
  const S* const from = a.features.at(sample, begin);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const auto value = [&](int c, int p) {
    if constexpr (kStaged) {
      return staged[c * a.positions + p];
    } else {
      return static_cast<T>(from[c * a.features.channel + a.features.offset(p)]);
    }
  };
  if constexpr (kStaged) {
    stage(a, from, size, staged);
    __syncthreads();
  }

  // Each channel's largest value, and 1 / sum of exp(F - largest): a warp a channel.
  const int64_t plane = a.samples * a.groups.num_channels;
  T* const largest_of = a.channel_stats + sample * a.groups.num_channels + begin;
  T* const inverse_of = largest_of + plane;
  T* const won_of = inverse_of + plane;
  T* const lost_of = won_of + plane;
  for (int c = warp; c < size; c += kWarps) {
    T largest = -infinity<T>();
    for (int p = lane; p < a.positions; p += kWarp) {
      const T v = value(c, p);
      largest = v > largest ? v : largest;
    }
    largest = warp_max(largest);
    T sum = 0;
    for (int p = lane; p < a.positions; p += kWarp) sum += exp(value(c, p) - largest);
    sum = warp_sum(sum);
    if (lane == 0) {
      largest_of[c] = largest;
      inverse_of[c] = 1 / sum;
    }
  }
  __syncthreads();

  // Both maxima at each position: a thread a position. NaN in a channel makes the sums NaN.
  const bool* const mask = a.mask ? a.mask + sample * a.mask_stride + begin : nullptr;
  I* const score_winners = a.winners + group * a.positions;
  I* const spread_winners = score_winners + a.samples * a.groups.num_classes * a.positions;
  T score_sum = 0, spread_sum = 0;
  for (int p = threadIdx.x; p < a.positions; p += kThreads) {
    T score = -infinity<T>(), spread = -infinity<T>();
    I score_winner = 0, spread_winner = 0;
    T not_a_number = 0, not_a_spread = 0;
    for (int c = 0; c < size; ++c) {
      const T v = value(c, p);
      const bool kept = !mask || mask[c];
      const T attended = kept ? v : T(0);
      if (attended > score) {
        score = attended;
        score_winner = static_cast<I>(kept ? c : kNoChannel);
      }
      if (attended != attended) not_a_number = attended;
      const T softmax = exp(v - largest_of[c]) * inverse_of[c];
      if (softmax > spread) {
        spread = softmax;
        spread_winner = static_cast<I>(c);
      }
      if (softmax != softmax) not_a_spread = softmax;
    }
    score_sum += score + not_a_number;
    spread_sum += spread + not_a_spread;
    score_winners[p] = score_winner;
    spread_winners[p] = spread_winner;
  }
  const T score_total = block_sum<T, kThreads>(score_sum, room);
  const T spread_total = block_sum<T, kThreads>(spread_sum, room);
  if (threadIdx.x == 0) {
    a.class_scores[group] = score_total / static_cast<T>(a.positions);
    a.diversity[group] = spread_total;
  }

  // The softmax of each channel summed over the positions that it won, and over the others. The
  // barriers of block_sum stand between the writing and the reading of the winners.
  for (int c = warp; c < size; c += kWarps) {
    T won = 0, lost = 0;
    for (int p = lane; p < a.positions; p += kWarp) {
      (spread_winners[p] == static_cast<I>(c) ? won : lost) += exp(value(c, p) - largest_of[c]);
    }
    won = warp_sum(won);
    lost = warp_sum(lost);
    if (lane == 0) {
      won_of[c] = won * inverse_of[c];
      lost_of[c] = lost * inverse_of[c];
    }
  }
}

// ---- what follows from the scores: one block, a warp a sample ----

template <typename T>
struct TermArguments {
  GroupLayout groups;
  int64_t samples;
  McFactors factors;
  const T *class_scores, *diversity;
  const int64_t* target;
  int64_t target_stride;
  T *loss, *dis, *div, *score_grad;
};

template <typename T>
__global__ void __launch_bounds__(kTermThreads) terms_kernel(const TermArguments<T> a) {
  __shared__ double room[kTermThreads / kWarp];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t classes = a.groups.num_classes;
  double dis_sum = 0, small_sum = 0, large_sum = 0;
  for (int64_t n = warp; n < a.samples; n += kTermThreads / kWarp) {
    const T* const scores = a.class_scores + n * classes;
    const T* const spread = a.diversity + n * classes;
    T largest = -infinity<T>();
    for (int64_t k = lane; k < classes; k += kWarp) {
      largest = scores[k] > largest ? scores[k] : largest;
      (k < a.groups.num_small ? small_sum : large_sum) += spread[k];
    }
    largest = warp_max(largest);
    T sum = 0;
    for (int64_t k = lane; k < classes; k += kWarp) sum += exp(scores[k] - largest);
    sum = warp_sum(sum);
    const int64_t label = a.target[n * a.target_stride];
    const bool in_range = label >= 0 && label < classes;
    for (int64_t k = lane; k < classes; k += kWarp) {
      const T probability = exp(scores[k] - largest) / sum;
      a.score_grad[n * classes + k] = (probability - (k == label)) / static_cast<T>(a.samples);
    }
    if (lane == 0) {
      dis_sum += in_range ? static_cast<double>(log(sum) + largest - scores[label])
                          : std::numeric_limits<double>::quiet_NaN();
    }
  }
  dis_sum = block_sum<double, kTermThreads>(dis_sum, room);
  small_sum = block_sum<double, kTermThreads>(small_sum, room);
  large_sum = block_sum<double, kTermThreads>(large_sum, room);
  if (threadIdx.x != 0) return;
  const double count = static_cast<double>(a.samples) * static_cast<double>(classes);
  const double dis = dis_sum / static_cast<double>(a.samples);
  *a.dis = static_cast<T>(dis);
  *a.div = static_cast<T>((small_sum + large_sum) / count);
  *a.loss = static_cast<T>(a.factors.dis * dis + a.factors.constant +
                           (a.factors.small * small_sum + a.factors.large * large_sum) / count);
}

// ---- backward ----

// Null where nothing came.
template <typename T>
struct Upstream {
  const T *loss, *dis, *div, *class_scores, *diversity;
};

template <typename S, typename I>
struct BackwardArguments {
  using T = at::opmath_type<S>;
  GroupLayout groups;
  int64_t samples;
  int positions;
  bool channels_first;
  McFactors factors;
  Map<const S> features;
  Map<S> grad;
  Upstream<T> upstream;
  const I* winners;
  const T *channel_stats, *score_grad;
};

// d loss / d g and d loss / d h of one (sample, class).
template <typename T>
struct GradOfScores {
  T score, spread;
};

template <typename S, typename I>
__device__ GradOfScores<at::opmath_type<S>> grad_of_scores(const BackwardArguments<S, I>& a,
                                                           int64_t group, int64_t cls) {
  using T = at::opmath_type<S>;
  const auto& up = a.upstream;
  const double loss = up.loss ? *up.loss : 0;
  const double dis = (up.dis ? *up.dis : 0) + a.factors.dis * loss;
  const double weight = cls < a.groups.num_small ? a.factors.small : a.factors.large;
  const double count = static_cast<double>(a.samples) * static_cast<double>(a.groups.num_classes);
  double score = up.loss || up.dis ? dis * a.score_grad[group] : 0;
  double spread = ((up.div ? *up.div : 0) + weight * loss) / count;
  if (up.class_scores) score += up.class_scores[group];
  if (up.diversity) spread += up.diversity[group];
  return {static_cast<T>(score), static_cast<T>(spread)};
}

// kCount values at a time, next to each other: kWide where both maps are packed and every row begins
// at a multiple of 16 bytes, else 1.
template <typename S, typename I, int kCount>
__global__ void __launch_bounds__(kThreads) backward_kernel(const BackwardArguments<S, I> a) {
  using T = at::opmath_type<S>;
  const int64_t group = blockIdx.x;
  const int64_t sample = group / a.groups.num_classes, cls = group % a.groups.num_classes;
  const int64_t begin = a.groups.begin(cls);
  const int size = static_cast<int>(a.groups.size(cls));
  const S* const from = a.features.at(sample, begin);
  S* const to = a.grad.at(sample, begin);
  const int64_t plane = a.samples * a.groups.num_channels;
  const T* const largest_of = a.channel_stats + sample * a.groups.num_channels + begin;
  const I* const score_winners = a.winners + group * a.positions;
  const I* const spread_winners = score_winners + a.samples * a.groups.num_classes * a.positions;
  const GradOfScores<T> upstream = grad_of_scores(a, group, cls);
  const T score_share = upstream.score / static_cast<T>(a.positions);

  const int packs_a_row = a.positions / kCount;
  for (int i = threadIdx.x; i < size * packs_a_row; i += kThreads) {
    const int c = a.channels_first ? i % size : i / packs_a_row;
    const int p = (a.channels_first ? i / size : i % packs_a_row) * kCount;
    const T largest = largest_of[c], inverse = largest_of[plane + c];
    const T won = largest_of[2 * plane + c], lost = largest_of[3 * plane + c];
    const auto values = *reinterpret_cast<const Pack<S, kCount>*>(from + c * a.features.channel +
                                                                  a.features.offset(p));
    const auto score_winner = *reinterpret_cast<const Pack<I, kCount>*>(score_winners + p);
    const auto spread_winner = *reinterpret_cast<const Pack<I, kCount>*>(spread_winners + p);
    Pack<S, kCount> grad;
    for (int j = 0; j < kCount; ++j) {
      const T softmax = exp(static_cast<T>(values.value[j]) - largest) * inverse;
      const T share = spread_winner.value[j] == static_cast<I>(c) ? lost : -won;
      const T scored = score_winner.value[j] == static_cast<I>(c) ? score_share : T(0);
      grad.value[j] = static_cast<S>(upstream.spread * softmax * share + scored);
    }
    *reinterpret_cast<Pack<S, kCount>*>(to + c * a.grad.channel + a.grad.offset(p)) = grad;
  }
}

// ---- tensors to arguments ----

unsigned blocks_of(const at::Tensor& features, const GroupLayout& groups) {
  const int64_t blocks = features.size(0) * groups.num_classes;
  const int64_t values = groups.largest_size() * features.size(2) * features.size(3);
  if (blocks > std::numeric_limits<int>::max() || values > std::numeric_limits<int>::max()) {
    refuse("mc_loss",
           "fewer than 2^31 (sample, class) pairs and fewer than 2^31 values in one of them",
           c10::str(blocks, " and ", values), "Use smaller batches or maps on a GPU.");
  }
  return static_cast<unsigned>(blocks);
}

template <typename S, typename I>
void launch_forward(const at::Tensor& features, const MaybeTensor& mask, const GroupLayout& groups,
                    const McForward& result) {
  using T = at::opmath_type<S>;
  ForwardArguments<S, I> a;
  a.groups = groups;
  a.samples = features.size(0);
  a.positions = static_cast<int>(features.size(2) * features.size(3));
  a.packed = is_packed(features);
  a.channels_first = features.stride(1) < features.stride(3);
  a.features = map_of<const S>(features);
  a.mask = data_or_null<const bool>(mask);
  a.mask_stride = mask && mask->dim() == 2 ? mask->size(1) : 0;
  a.class_scores = result.class_scores.data_ptr<T>();
  a.diversity = result.diversity.data_ptr<T>();
  a.channel_stats = result.channel_stats.data_ptr<T>();
  a.winners = result.winners.data_ptr<I>();
  const unsigned blocks = blocks_of(features, groups);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const int64_t bytes = groups.largest_size() * a.positions * int64_t{sizeof(T)};
  if (bytes <= kSharedBytes) {
    forward_kernel<S, I, true><<<blocks, kThreads, static_cast<size_t>(bytes), stream>>>(a);
  } else {
    forward_kernel<S, I, false><<<blocks, kThreads, 0, stream>>>(a);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void launch_terms(const at::Tensor& target, const GroupLayout& groups, const McFactors& factors,
                  const McForward& result) {
  const TermArguments<T> a{groups,
                           target.size(0),
                           terms,
                           result.class_scores.const_data_ptr<T>(),
                           result.diversity.const_data_ptr<T>(),
                           target.const_data_ptr<int64_t>(),
                           target.stride(0),
                           result.loss.data_ptr<T>(),
                           result.dis.data_ptr<T>(),
                           result.div.data_ptr<T>(),
                           result.score_grad.data_ptr<T>()};
  terms_kernel<T><<<1, kTermThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(a);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename S, typename I>
void launch_backward(const at::Tensor& features, const at::Tensor& grad, const GroupLayout& groups,
                     const McFactors& factors, const Upstream<at::opmath_type<S>>& upstream,
                     const at::Tensor& winners, const at::Tensor& channel_stats,
                     const at::Tensor& score_grad) {
  using T = at::opmath_type<S>;
  BackwardArguments<S, I> a;
  a.groups = groups;
  a.samples = features.size(0);
  a.positions = static_cast<int>(features.size(2) * features.size(3));
  a.channels_first = features.stride(1) < features.stride(3);
  a.factors = terms;
  a.features = map_of<const S>(features);
  a.grad = map_of<S>(grad);
  a.upstream = upstream;
  a.winners = winners.const_data_ptr<I>();
  a.channel_stats = channel_stats.const_data_ptr<T>();
  a.score_grad = score_grad.const_data_ptr<T>();
  const unsigned blocks = blocks_of(features, groups);
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const bool wide = is_packed(features) && is_packed(grad) && a.positions % kWide<S> == 0 &&
                    features.stride(0) % kWide<S> == 0 && grad.stride(0) % kWide<S> == 0 &&
                    is_aligned(a.features.data) && is_aligned(a.grad.data);
  if (wide) {
    backward_kernel<S, I, kWide<S>><<<blocks, kThreads, 0, stream>>>(a);
  } else {
    backward_kernel<S, I, 1><<<blocks, kThreads, 0, stream>>>(a);
  }
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

auto mc_loss_forward_cuda(const at::Tensor& features, const at::Tensor& target,
                          const MaybeTensor& mask, int64_t num_classes, double dis, double div,
                          double per_xi) {
  check_mc_loss(features, target, mask, num_classes, {dis, div, per_xi});
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const c10::cuda::CUDAGuard guard(features.device());
  const McForward result = empty_mc_forward(features, groups);
  const MaybeTensor masks = contiguous(mask);
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_loss_forward", [&] {
        const bool wide = result.winners.scalar_type() == at::kInt;
        const auto launch =
            wide ? &launch_forward<scalar_t, int32_t> : &launch_forward<scalar_t, uint8_t>;
        launch(features, masks, groups, result);
        launch_terms<at::opmath_type<scalar_t>>(target, groups, factors, result);
      });
  return result.tuple();
}

at::Tensor mc_loss_backward_cuda(const MaybeTensor& grad_loss, const MaybeTensor& grad_dis,
                                 const MaybeTensor& grad_div, const MaybeTensor& grad_class_scores,
                                 const MaybeTensor& grad_diversity, const at::Tensor& features,
                                 const at::Tensor& winners, const at::Tensor& channel_stats,
                                 const at::Tensor& score_grad, int64_t num_classes, double dis,
                                 double div, double per_xi) {
  const ChannelGroups groups(features.size(1), num_classes);
  const McFactors factors = mc_factors({dis, div, per_xi}, groups);
  const c10::cuda::CUDAGuard guard(features.device());
  const at::Tensor grad = at::empty_like(features);
  const auto ready = [&](const MaybeTensor& value) {
    return value ? maybe(value->to(score_grad.scalar_type()).contiguous()) : std::nullopt;
  };
  const MaybeTensor given[] = {ready(grad_loss), ready(grad_dis), ready(grad_div),
                               ready(grad_class_scores), ready(grad_diversity)};
  AT_DISPATCH_FLOATING_TYPES_AND2(
      at::kHalf, at::kBFloat16, features.scalar_type(), "mc_loss_backward", [&] {
        using T = at::opmath_type<scalar_t>;
        const Upstream<T> upstream{data_or_null<const T>(given[0]), data_or_null<const T>(given[1]),
                                   data_or_null<const T>(given[2]), data_or_null<const T>(given[3]),
                                   data_or_null<const T>(given[4])};
        const auto launch = winners.scalar_type() == at::kInt ? &launch_backward<scalar_t, int32_t>
                                                              : &launch_backward<scalar_t, uint8_t>;
        launch(features, grad, groups, factors, upstream, winners, channel_stats, score_grad);
      });
  return grad;
}

TORCH_LIBRARY_IMPL(mcloss, CUDA, m) {
  m.impl("mc_loss_forward", &mc_loss_forward_cuda);
  m.impl("mc_loss_backward", &mc_loss_backward_cuda);
}

}  // namespace
}  // namespace mcloss
