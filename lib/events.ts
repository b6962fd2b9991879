// What a run tells its caller: plain records, also the lines of metrics.jsonl.

/**
 * Means over the samples trained since the epoch (epoch) or the last report (progress) began; NaN
 * where every step was skipped, and then null in metrics.jsonl.
 */
export interface TrainFigures {
  /** The whole loss that is minimised. */
  loss: number
  /** By name: ce; with MC-Loss also dis (L_dis) and div (L_div). */
  parts: Record<string, number>
  /** Share 0..1 of samples whose largest logit is their label, in training mode. */
  top1: number
  /** Mean 2-norm of the whole gradient. */
  gradNorm: number
  /** Steps left out because a value was not finite. */
  skipped: number
  imagesPerSecond: number
  /** Share 0..1 of the time spent waiting for data. */
  dataWait: number
}

/** What an evaluation may be of. */
export type EvaluatedSplit = 'validation' | 'test'

/** Of an evaluated split. */
export interface TestFigures {
  /** Cross entropy, mean over samples. */
  loss: number
  top1: number
  top5: number
  /** The mean of each class's top-1 over the classes that have images. */
  meanPerClass: number
  /** How many classes those are. */
  classes: number
  n: number
}

export interface StartEvent {
  type: 'start'
  runDir: string
  device: string
  precision: string
  threads: number
  channelsLast: boolean
  /** The settings as they take effect; what names cuda matters there only. */
  cudnnBenchmark: boolean
  tf32: boolean
  deterministic: boolean
  cudaGraph: 'auto' | 'off'
  libtorch: string
  classes: number
  /** That are trained on. */
  trainSamples: number
  /** Set aside from the training split by data.validation; 0 without it. */
  validationSamples: number
  testSamples: number
  /** Where the best epoch is picked: on validation images, or on the test split itself. */
  bestPickedOn: EvaluatedSplit
  epochs: number
  stepsPerEpoch: number
  /** The global step the run begins at: 0, or where a resumed run stopped. */
  step: number
  /** Per RGB channel, of pixels scaled to 0..1. */
  mean: [number, number, number]
  std: [number, number, number]
  /** Who said so, in words. */
  normalisation: string
}

/** The weights that a run began with. Names are those of tensors. */
export interface WeightsEvent {
  type: 'weights'
  path: string
  /** In `mcloss weights list`; null: it is not a published file. */
  name: string | null
  bytes: number
  sha256: string
  format: 'torch-zip' | 'torch-legacy' | 'safetensors'
  /** The key under which a checkpoint had them; null: none. */
  wrapper: string | null
  /** What every name began with; null: nothing. */
  prefix: string | null
  part: 'backbone' | 'all'
  taken: string[]
  /** In the file, but not taken. */
  leftOut: string[]
  /** In the model, but not taken. */
  initialised: string[]
  /** What was done to names, shapes and values: a sentence each. */
  changes: string[]
}

export interface ProgressEvent extends TrainFigures {
  type: 'progress'
  epoch: number
  epochs: number
  /** Global steps done. */
  step: number
  /** Steps done in this epoch. */
  stepInEpoch: number
  stepsPerEpoch: number
  lr: number
  etaSeconds: number
}

export interface EpochEvent {
  type: 'epoch'
  /** From 0. */
  epoch: number
  epochs: number
  /** Global steps done. */
  step: number
  /** Of the epoch's last step. */
  lr: number
  train: TrainFigures
  /** Of the split that best is picked on, the other is left out; none in epochs without an evaluation. */
  validation?: TestFigures
  test?: TestFigures
  seconds: number
}

/** The end of a run that picks on validation images: the test split, read once. */
export interface TestEvent {
  type: 'test'
  /** The best one, and its checkpoint: a run's link. */
  epoch: number
  checkpoint: string
  test: TestFigures
  seconds: number
}

export interface CheckpointEvent {
  type: 'checkpoint'
  kind: 'last' | 'best' | 'abort'
  path: string
  epoch: number
  step: number
}

/** Images of a split decoded into its store. */
export interface PrepareEvent {
  type: 'prepare'
  split: 'train' | 'test'
  done: number
  total: number
  /** Since this split was begun. */
  seconds: number
}

/** Where the images of the run come from. */
export interface StoreEvent {
  type: 'store'
  /** off: decoded anew in every epoch. */
  mode: 'mmap' | 'ram' | 'gpu' | 'off'
  /** Why, in words. */
  reason: string
  /** Of both splits, decoded. */
  bytes: number
  files: string[]
}

export interface WarningEvent {
  type: 'warning'
  message: string
  /** All the files it is about, where the message names only some. */
  files?: string[]
}

export type RunEvent =
  | StartEvent
  | WeightsEvent
  | StoreEvent
  | PrepareEvent
  | ProgressEvent
  | EpochEvent
  | TestEvent
  | CheckpointEvent
  | WarningEvent
