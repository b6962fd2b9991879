// The public surface.

export type { Batch, Dataset, Sample, Size } from './batch.js'
export { type BenchOptions, type BenchReport, bench } from './bench.js'
export type {
  BuildInfo,
  EvalStats,
  FeatureMaps,
  McLossResult,
  NativeBatch,
  NativeTrainer,
  OperatorTime,
  StepOptions,
  StepStats,
} from './binding.js'
export { type Config, type ConfigInput, configJsonSchema, defineConfig } from './config.js'
export {
  type ContactSheet,
  type ContactSheetOptions,
  contactSheet,
  type SheetConfig,
} from './contact-sheet.js'
export { type CheckOptions, checkData, type DataReport } from './data-check.js'
export * as datasets from './datasets/index.js'
export { type ErrorCode, McLossError } from './errors.js'
export type * from './events.js'
export {
  type EvaluateOptions,
  evaluate,
  type ModelOptions,
  type Prediction,
  predict,
} from './inference.js'
export { type EpochOptions, type Loader, type LoaderOptions, loader } from './loader.js'
export { type ChannelGroup, channelGroups, type McLossOptions, mcLoss } from './mc-loss.js'
export { makeSchedule } from './schedule.js'
export {
  type OpenOptions,
  openStores,
  prepareStores,
  type SplitSource,
  type StoreOptions,
  type Stores,
} from './store.js'
export {
  type EpochResult,
  type Run,
  type RunResult,
  Trainer,
  type TrainOptions,
  train,
} from './trainer.js'
