// The public surface.

export { type BenchOptions, type BenchReport, bench } from './bench/index.js'
export type {
  BuildInfo,
  ComputeLossResult,
  Embedded,
  EvalStats,
  FeatureMaps,
  InferOptions,
  McLossResult,
  NativeBatch,
  NativeTrainer,
  OperatorTime,
  StepOptions,
  StepStats,
} from './binding.js'
export { type ComputeLossOptions, computeLoss } from './compute-loss.js'
export { type Config, type ConfigInput, configJsonSchema, defineConfig } from './config/index.js'
export type { Batch, Dataset, Sample, Size } from './data/batch.js'
export { type CheckOptions, checkData, type DataReport } from './data/check.js'
export * as datasets from './data/datasets/index.js'
export { type EpochOptions, type Loader, type LoaderOptions, loader } from './data/loader.js'
export {
  type OpenOptions,
  openStores,
  prepareStores,
  type SplitSource,
  type StoreOptions,
  type Stores,
} from './data/store/index.js'
export { type ErrorCode, McLossError } from './errors.js'
export type * from './events.js'
export {
  type ChannelMaps,
  type ChannelMapsOptions,
  channelMaps,
  type NoChannelMaps,
} from './explain/channel-maps.js'
export { type ExportedModel, type ExportOptions, exportModel } from './export/index.js'
export type { ClassMaps } from './maps/class-maps.js'
export { type ChannelGroup, channelGroups, type McLossOptions, mcLoss } from './mc-loss.js'
export {
  type ContactSheet,
  type ContactSheetOptions,
  contactSheet,
  type SheetConfig,
} from './pictures/contact-sheet.js'
export type { Prediction } from './predict/each.js'
export { type EvaluateOptions, evaluate, predict } from './predict/inference.js'
export type { ModelOptions } from './predict/model.js'
export type { Answer } from './predict/outputs.js'
export {
  createPredictor,
  type Embedding,
  type PredictOptions,
  type Predictor,
  type PredictorImage,
  type RawImage,
} from './predict/predictor.js'
export { makeReport, type Report, type ReportOptions } from './report/index.js'
export type { RunResult } from './train/result.js'
export { makeSchedule } from './train/schedule.js'
export type { EpochResult } from './train/session.js'
export { type Run, type TrainOptions, train } from './train/train.js'
export { Trainer } from './train/trainer.js'
export type { LoadedWeights, LoadOptions, TakenTensors } from './weights/index.js'
