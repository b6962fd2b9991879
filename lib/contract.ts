// The interface of the native add-on, declared once. What crosses it are small plain records and byte
// buffers, never tensors. lib/binding.ts loads the add-on.

import type { WeightFiles } from './weights/index.js'

/** Weights of the MC-Loss in the paper's form: mu * (L_dis - lambda * L_div). */
export interface PaperWeights {
  form: 'paper'
  mu: number
  lambda: number
}
/** Weights in the authors' form: alpha * L_dis + beta * mean(1 - h / xi). */
export interface OfficialWeights {
  form: 'official'
  alpha: number
  beta: number
}

/** A loss as lib/config/losses resolves it. */
export type NativeLoss = { name: string; [setting: string]: unknown }

/**
 * How the last layer of the head makes logits z of its input x: W x + b; scale * cos(x, W_k), where
 * the scale 'norm' is the length of x; or -|x - mu_k|^2 / 2.
 */
export interface Classifier {
  kind: 'linear' | 'cosine' | 'distance'
  /** Of cosine alone. */
  scale?: number | 'norm' | undefined
}

/** What decides speed and reproducibility; all but cudaGraph hold for the whole process. */
export interface NativeSettings {
  cudnnBenchmark: boolean
  tf32: boolean
  deterministic: boolean
  cudaGraph: 'auto' | 'off'
}

/** Everything NativeTrainer.create needs; lib/config/index.ts makes it from the user's configuration. */
export interface NativeTrainerConfig {
  model: {
    backbone: string
    head: string
    numClasses: number
    /** 0: the backbone's own width; xi > 0: the last stage widened to numClasses * xi. */
    channelsPerClass: number
    /** The crop the network sees, pixels. */
    input: { height: number; width: number }
    /** 3x3 convolutions, batch norm with residual and ReLU: ours (default), or LibTorch's operators. */
    impl?: 'fused' | 'reference' | undefined
    /** Batch norms of the backbone train with their running statistics, which stay. Default false. */
    freezeBatchNorm?: boolean
    /** Left out: linear. */
    classifier?: Classifier
    /** Of head bilinear, as pooling: channels that the map is reduced to. Left out: all. */
    reduction?: number
    /** Default sum. */
    pooling?: 'sum' | 'isqrt'
  }
  loss: NativeLoss
  /** [numClasses]: factors of a sample's term in the loss, by its class. Left out: all 1. */
  classWeights?: number[]
  optim: {
    /** Default sgd. */
    name?: 'sgd' | 'adamw'
    /** Both of sgd, which needs them. */
    momentum?: number | undefined
    nesterov?: boolean | undefined
    /** Both of adamw, which needs them. */
    betas?: [number, number] | undefined
    eps?: number | undefined
    weightDecay: number
    /** false: not of parameters with at most one dimension. Default true. */
    decayNormAndBias?: boolean
    headLrScale: number
    /** Left out: gradients are taken as they are. */
    clipGradNorm?: number | undefined
    /** Left out: there is no average of the weights. */
    ema?: { decay: number; warmupSteps: number } | undefined
  }
  initSeed: number
  device: 'cpu' | 'cuda'
  precision: 'fp32' | 'bf16'
  channelsLast: boolean
  threads: number
  settings: NativeSettings
  /** Per RGB channel, of pixels scaled to 0..1. */
  mean: [number, number, number]
  std: [number, number, number]
  rank: number
  worldSize: number
}

/** Images in a buffer of JavaScript's. */
export interface PixelSource {
  /** u8 RGB [count, height, width, 3]. */
  pixels: Uint8Array
  height: number
  width: number
}

/** Images of an open store. */
export interface RowSource {
  /** As openStore gave it. */
  store: number
  /** [count]: which images, from 0. */
  rows: Int32Array
}

/** One batch. The buffers belong to native from the call until its promise settles. */
export type NativeBatch = BatchPlaces & (PixelSource | RowSource)

/** What to cut from each image of a batch, and what it shows. */
export interface BatchPlaces {
  count: number
  /** [count, 3]: top, left, flip (0 | 1); top and left may be negative (zero padding). */
  windows: Int32Array
  /** [count, 3]: factors 0..256 of brightness, contrast, saturation, 1 = unchanged. Left out: none. */
  jitter?: Float32Array
  /** [count, 4]: top, left, height, width of what is erased of the crop. Left out: nothing. */
  erased?: Int32Array
  /** [count], 0..numClasses-1. Left out for predict, embed and features. */
  labels?: Int32Array
}

export interface StepOptions {
  /** Of the whole run, from 0: with the seed it decides masks and dropout. */
  step: number
  /** The run's seed: an integer 0..2^53-1. */
  seed: number
  /** The backbone's learning rate; the head's is lr * headLrScale. */
  lr: number
  /** Of a loss with a schedule of its own: what that gives at this step. */
  scalar?: number
  /** Samples per forward and backward; left out: the whole batch at once. */
  microBatch?: number
  /** Only the head and the loss's own parameters train. Default false. */
  freezeBackbone?: boolean
}

export interface InferOptions {
  /** Default raw. @throws McLossError E_CONFIG for ema in a trainer without optim.ema. */
  weights?: 'raw' | 'ema'
}

/** Sums since the last call: divide `loss` and `parts` by n, gradNorm by (steps - skipped). */
export interface StepStats {
  steps: number
  skipped: number
  n: number
  correct: number
  loss: number
  parts: Record<string, number>
  gradNorm: number
  /** Wall time inside steps, milliseconds. */
  ms: number
  /** News that are no error, LibTorch's among them; each text once in the life of a trainer. */
  warnings: string[]
}

/** What one step spent in an operator. */
export interface OperatorTime {
  /** As LibTorch and mcloss register it; mcloss::step is what lies outside every operator. */
  name: string
  calls: number
  /** Inside it, less the operators it called, milliseconds. */
  selfMs: number
}

export interface EvalStats {
  n: number
  top1: number
  top5: number
  /** Cross entropy without class weights, summed over samples. */
  lossSum: number
  /** [n]: the class of the largest logit. */
  predictions: Int32Array
  /** [n]: of the softmax. */
  predictedProbabilities: Float32Array
  labelProbabilities: Float32Array
}

/** What one pass gives before and behind the last layer, row-major. */
export interface Embedded {
  /** [count * D]: the input of the last layer. */
  embedding: Float32Array
  /** [count * numClasses] */
  logits: Float32Array
}

export interface FeatureMaps {
  /** [count, channels, H, W]. */
  data: Float32Array
  shape: [number, number, number, number]
}

export interface NativeTrainer extends WeightFiles {
  /** Settles when the batch's buffers are free again. At most 2 steps may be in flight. */
  step(batch: NativeBatch, options: StepOptions): Promise<void>
  stats(): Promise<StepStats>
  /**
   * Takes a step and tells where its time went, longest first. On a CPU the times add up to the step; on
   * a GPU every operator is waited for, so that they add up to more than an ordinary step takes.
   */
  profile(batch: NativeBatch, options: StepOptions): Promise<OperatorTime[]>
  evaluate(batch: NativeBatch, options?: InferOptions): Promise<EvalStats>
  /** Logits [count * numClasses], row-major. */
  predict(batch: NativeBatch, options?: InferOptions): Promise<Float32Array>
  embed(batch: NativeBatch, options?: InferOptions): Promise<Embedded>
  features(batch: NativeBatch, options: { channels: number[] }): Promise<FeatureMaps>
  /** Waits for what is running, frees everything. Idempotent. */
  dispose(): Promise<void>
}

export interface NativeMcLossOptions {
  features: Float32Array | Float64Array
  shape: [number, number, number, number]
  target: Int32Array
  numClasses: number
  mask?: Uint8Array
  weights: PaperWeights | OfficialWeights
  grad: boolean
  impl: 'fused' | 'reference'
}

export interface McLossResult {
  /** L_dis. */
  dis: number
  /** L_div, the unweighted mean of h. */
  div: number
  /** The weighted MC part in the form asked for. */
  loss: number
  /** g [N * K], row-major. */
  classScores: Float32Array | Float64Array
  /** Gradient of `loss` by the features, in their shape; null unless asked for. */
  grad: Float32Array | Float64Array | null
}

export interface NativeLossOptions {
  loss: NativeLoss
  classifier: Classifier
  /** [samples * width] */
  embedding: Float32Array | Float64Array
  samples: number
  width: number
  /** [numClasses * width] */
  weight: Float32Array | Float64Array
  /** Of a linear classifier. */
  bias?: Float32Array | Float64Array
  target: Int32Array
  numClasses: number
  /** StepOptions.scalar. */
  scalar: number
  /** Of center, before the step. */
  centres?: Float32Array | Float64Array
  grad: boolean
}

export interface NativeLossResult {
  /** The mean over the samples, as its parts. */
  loss: number
  parts: Record<string, number>
  /** [N * K], row-major, with the margin of training. */
  logits: Float32Array | Float64Array
  /** [N * K] without it. */
  evalLogits: Float32Array | Float64Array
  /** Gradients of `loss`, in the shapes of what was given; where asked for. */
  gradEmbedding?: Float32Array | Float64Array
  gradWeight?: Float32Array | Float64Array
  /** Of a linear last layer. */
  gradBias?: Float32Array | Float64Array
  /** Of center, after the step. */
  centres?: Float32Array | Float64Array
}

export interface ComputeLossResult extends Omit<NativeLossResult, 'centres'> {
  /** Of center: the centres after the step, [K * D]. */
  state?: { centres: Float32Array | Float64Array }
}

export interface BuildInfo {
  libtorch: string
  /** The CUDA version of the LibTorch in use, or null for a CPU build. */
  cuda: string | null
  /** E.g. '9.10.2', null without it. */
  cudnn: string | null
  compiler: string
  cppStandard: number
  /** CPU capability LibTorch dispatches to, e.g. 'AVX512'. */
  cpuCapability: string
}

export type StoreMode = 'mmap' | 'ram' | 'gpu'

export interface NativeStoreLayout {
  path: string
  /** How long the file must be. */
  fileBytes: number
  /** Of the first pixel. */
  offset: number
  count: number
  height: number
  width: number
  mode: StoreMode
}

export interface NativeAddon {
  NativeTrainer: { create(config: NativeTrainerConfig): Promise<NativeTrainer> }
  /** The feature map's shape for a model, without building it; throws as create does. */
  mapShape(model: NativeTrainerConfig['model']): { channels: number; height: number; width: number }
  /** K group sizes, smaller first. */
  channelGroups(channels: number, classes: number): number[]
  /** One step's mask over the channels: [C], or [samples * C] for maskScope 'sample'. */
  cwaMask(options: {
    channels: number
    classes: number
    keep: 'ceil-half' | number
    maskScope: 'batch' | 'sample'
    seed: number
    step: number
    samples: number
  }): Uint8Array
  mcLoss(options: NativeMcLossOptions): Promise<McLossResult>
  computeLoss(options: NativeLossOptions): Promise<NativeLossResult>
  /** u8 RGB [height, width, 3] -> `out`, u8 [outHeight, outWidth, 3]. `out` may be a view. */
  resize(options: {
    pixels: Uint8Array
    height: number
    width: number
    out: Uint8Array
    outHeight: number
    outWidth: number
  }): Promise<void>
  /** The step's pixel path alone: [count, 3, outHeight, outWidth] floats, contiguous. For tests. */
  gatherAugment(
    batch: NativeBatch,
    options: {
      outHeight: number
      outWidth: number
      mean: number[]
      std: number[]
      /** What the values are rounded to. Default fp32. */
      dtype?: 'fp32' | 'bf16' | 'fp16'
    },
  ): Promise<Float32Array>
  /**
   * Opens a file of decoded images read-only; the number names it in batches.
   * @throws McLossError E_IO, E_DATA for a file of another length, E_DEVICE for gpu without one.
   */
  openStore(layout: NativeStoreLayout): Promise<number>
  /** Steps in flight may still use it. */
  closeStore(store: number): void
  /** The CUDA GPUs that LibTorch sees. */
  deviceCount(): number
  /** Free bytes of the first GPU. @throws McLossError E_DEVICE without one. */
  freeDeviceMemory(): number
  /** The most bytes LibTorch had given out at once on it. @throws McLossError E_DEVICE without one. */
  peakDeviceMemory(): number
  /** @throws McLossError E_DEVICE where a trainer on `device` could not be made. */
  checkDevice(device: string): void
  buildInfo(): BuildInfo
  /** Native errors are made with this constructor: (code, message). Called once on loading. */
  setErrorClass(errorClass: new (code: never, message: string) => Error): void
}
