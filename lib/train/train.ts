// A training run from the outside: what is opened and checked before its epochs (run.ts) begin, and
// how its events and its result come out.

import { checkArgument, record, signal as signalShape, text } from '../arguments.js'
import { native } from '../binding.js'
import { type Config, type ConfigInput, completeConfig, forClasses } from '../config/index.js'
import { normalisationOf, normalisationWarning } from '../config/normalisation.js'
import type { Dataset, Sample } from '../data/batch.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import { openStores } from '../data/store/index.js'
import { positionsOf } from '../data/validation.js'
import { McLossError } from '../errors.js'
import type { RunEvent } from '../events.js'
import { recordsOf } from '../records/index.js'
import { identify } from '../weights/identity.js'
import { type Checkpoint, openCheckpoint } from './checkpoint.js'
import { Claim } from './claim.js'
import { classWeightsOf } from './class-weights.js'
import { tryDisk } from './disk.js'
import { bestPickedOn, emptyClassesWarnings } from './evaluation.js'
import { EventQueue } from './event-queue.js'
import { originOf, weightsPlace } from './initial-weights.js'
import { journalOf } from './journal.js'
import { openMapSheets } from './map-sheets.js'
import { outcomeOf } from './outcome.js'
import { type Ending, type RunResult, tested, type ValidationResult, validated } from './result.js'
import { runEpochs } from './run.js'
import { makeSchedule } from './schedule.js'
import { freshSession, misfit, requireSameRun, resumedRunDir, resumedSession } from './session.js'
import { StopFile } from './stop-file.js'
import { createTrainer } from './trainer.js'

export interface TrainOptions {
  /**
   * Ends the run within a step; it is saved, then `result` rejects with E_ABORTED. A file RUN/stop, made by
   * anybody, does the same.
   */
  signal?: AbortSignal
  /** A checkpoint folder or run folder to go on from; the run stays in its run folder. */
  resume?: string
}

const optionsShape = record({ signal: signalShape.optional(), resume: text.optional() })

export interface Run<Result = RunResult> extends AsyncIterable<RunEvent> {
  readonly result: Promise<Result>
}

/**
 * Starts training. The configuration may come from defineConfig or not. The run goes on whether or
 * not anyone iterates over its events; unread progress events collapse to the newest. One loop reads
 * the events at a time. A failure rejects `result` and is thrown by the loop, whichever is asked first
 * and however late. One that neither was asked for, once `result` is out of reach or the process has
 * nothing left to do, is an unhandled rejection.
 *
 * @throws (as a rejection) McLossError E_CONFIG, E_DATA, E_ARGUMENT, E_DEVICE, E_WEIGHTS,
 * E_BUSY, E_CHECKPOINT before work starts; E_IMAGE, E_OOM, E_IO, E_NUMERICS, E_NATIVE while it runs;
 * E_ABORTED after an abort, naming the checkpoint.
 */
export function train(config: Config | ConfigInput, options: TrainOptions = {}): Run {
  return begin(config, options, tested)
}

/**
 * As train, for a configuration with data.validation: the test split is left out of the data, so that
 * no image of it is decoded and no result depends on it.
 */
export function trainAndValidate(
  config: Config,
  options: TrainOptions = {},
): Run<ValidationResult> {
  return begin(config, options, validated)
}

function begin<Result>(
  config: Config | ConfigInput,
  options: TrainOptions,
  ending: Ending<Result>,
): Run<Result> {
  const events = new EventQueue()
  const outcome = outcomeOf(publishing(events, config, options, ending))
  return {
    result: outcome.result,
    // The loop holds the outcome: nobody has let go of it as long as the loop can throw.
    [Symbol.asyncIterator]: () => events.read(() => outcome.see()),
  }
}

/**
 * The run's end is also that of its events. No closure of `train`: the stack of a failure keeps its
 * functions and what they close over, and the result has to go out of reach.
 */
async function publishing<Result>(
  events: EventQueue,
  given: Config | ConfigInput,
  options: TrainOptions,
  ending: Ending<Result>,
) {
  try {
    checkArgument('train', 'options', optionsShape, options)
    const config = completeConfig('train', given)
    const result = await execute(config, options, ending, (event) => events.push(event))
    events.end()
    return result
  } catch (error) {
    events.end(error)
    throw error
  }
}

async function execute<Result>(
  config: Config,
  options: TrainOptions,
  ending: Ending<Result>,
  publish: (event: RunEvent) => void,
) {
  const claim = new Claim()
  const stopFile = new StopFile()
  const hold = async (runDir: string) => {
    await claim.take(runDir)
    await stopFile.watch(runDir)
  }
  const signal = stopFile.signalWith(options.signal)
  try {
    return await executeHeld({ claim, hold }, config, { ...options, signal }, ending, publish)
  } finally {
    await stopFile.close()
    await claim.release()
  }
}

/** `hold` makes the run folder this run's alone. */
async function executeHeld<Result>(
  { claim, hold }: { claim: Claim; hold: (runDir: string) => Promise<void> },
  given: Config,
  options: TrainOptions & { signal: AbortSignal },
  ending: Ending<Result>,
  publish: (event: RunEvent) => void,
) {
  const { signal, resume } = options
  requireNotAborted(signal)
  native().checkDevice(given.device) // before data is drawn or read
  const runDir = resume === undefined ? undefined : await resumedRunDir(resume)
  if (runDir) await hold(runDir) // before its checkpoints are read
  const checkpoint = resume === undefined ? undefined : await openCheckpoint(resume)
  const { config: begun, normalisation, weights } = await beginning(given, checkpoint)
  const found = await openDataset({ ...begun.data, signal })
  const dataset = ending.hasTest ? found : { ...found, test: [] }
  const config = forClasses(begun, dataset.classes.length)
  const stepsPerEpoch = loader(dataset, config, { split: 'train', epoch: 0 }).length
  const trained = positionsOf(dataset, config, 'train')
  const trainSamples = trained.length
  if (stepsPerEpoch === 0) {
    throw new McLossError(
      'E_CONFIG',
      `train: ${trainSamples} training images make no batch of ${config.optim.batchSize}; ` +
        'lower optim.batchSize or set optim.dropLast to false.',
    )
  }
  checkSmallestBatch(config, trainSamples)
  const train = Array.from(trained, (at) => dataset.train[at] as Sample)
  const classWeights = classWeightsOf(config.data.classWeights, { classes: dataset.classes, train })
  const lrAt = makeSchedule(config, stepsPerEpoch)
  const mapSheets = await openMapSheets(config, dataset)
  if (checkpoint) requireSameRun(checkpoint, config, dataset, trainSamples, stepsPerEpoch)
  const { trainer, loaded } = await createTrainer(
    config,
    dataset.classes.length,
    weights?.origin.path,
    classWeights,
  )
  try {
    if (checkpoint) {
      await trainer.load(checkpoint.path).catch((error) => {
        throw misfit(error, checkpoint, config)
      })
    }
    const records = recordsOf(config.records)
    const journal = journalOf((event) => {
      records.see(event)
      publish(event)
    })
    if (weights && loaded) journal.emit({ type: 'weights', ...weights.origin, ...loaded })
    if (classWeights) journal.emit({ type: 'class-weights', weights: classWeights })
    const other = weights?.record && normalisationWarning(given.data, weights.record)
    const disk = await tryDisk(runDir ?? config.out)
    const warnings = [
      ...(other ? [other] : []),
      ...(dataset.warnings ?? []),
      ...emptyClasses(config, dataset, ending.hasTest),
      ...disk,
    ]
    for (const message of warnings) journal.emit({ type: 'warning', message })
    const stores = await openStores(dataset, config, { signal, onEvent: journal.emit })
    try {
      requireNotAborted(signal)
      const session =
        runDir && checkpoint
          ? resumedSession(runDir, checkpoint)
          : await freshSession(config, weights?.origin)
      if (!checkpoint) await hold(session.runDir)
      const context = {
        config,
        dataset,
        stores,
        trainer,
        trainSamples,
        stepsPerEpoch,
        lrAt,
        journal,
        records,
        mapSheets,
        claim,
      }
      return await runEpochs({ ...context, normalisation, ...session }, signal, ending.resultOf)
    } finally {
      stores.close()
    }
  } finally {
    await trainer.dispose()
  }
}

/** What a run begins with: of a resumed one the checkpoint says it all. */
async function beginning(config: Config, checkpoint: Checkpoint | undefined) {
  const { data, model } = config
  const before = (checkpoint?.state.config as ConfigInput | undefined)?.data
  const place =
    checkpoint || model.weights === undefined ? undefined : await weightsPlace(model.weights)
  const file = place && (await identify(place.path, place.record))
  const normalisation = normalisationOf(data, { record: file?.record, before })
  const { mean, std } = normalisation
  return {
    config: { ...config, data: { ...data, mean, std } },
    normalisation,
    weights: place && file && { record: file.record, origin: originOf(model, place.path, file) },
  }
}

/** Of the splits that the run evaluates. */
function emptyClasses(
  config: Config,
  { classes, train, test }: Dataset,
  hasTest: boolean,
): string[] {
  const isAside = bestPickedOn(config) === 'validation'
  return [
    ...(isAside ? emptyClassesWarnings(classes, train, 'validation') : []),
    ...(hasTest ? emptyClassesWarnings(classes, test, 'test') : []),
  ]
}

function requireNotAborted(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new McLossError('E_ABORTED', 'train: stopped before the run began.')
}

/** The two-layer head normalises over samples alone, which one sample does not allow. */
function checkSmallestBatch({ model, optim }: Config, samples: number): void {
  const { batchSize, gradAccumSteps, dropLast } = optim
  const part = batchSize / gradAccumSteps
  const leavesOne = !dropLast && (samples % batchSize) % part === 1
  if (model.head !== 'two-layer' || (part > 1 && !leavesOne)) return
  throw new McLossError(
    'E_CONFIG',
    'train: the two-layer head normalises over the samples of a forward pass and needs two, but ' +
      `${samples} images in batches of ${batchSize} with gradAccumSteps ${gradAccumSteps} leave a ` +
      'pass of one. Change optim.batchSize, lower optim.gradAccumSteps or set optim.dropLast to true.',
  )
}
