// A training run, top to bottom: open, start or resume, epochs, evaluation, checkpoints. What is
// computed is native's; this file decides the order of things.

import { join } from 'node:path'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, configToJson, nativeConfig, settingsOf } from '../config/index.js'
import { scalarOf } from '../config/losses/index.js'
import type { Dataset } from '../data/batch.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import { openStores, type Stores } from '../data/store/index.js'
import { McLossError } from '../errors.js'
import type { RunEvent, StartEvent, TestFigures } from '../events.js'
import { type CheckpointState, openCheckpoint, saveCheckpoint } from './checkpoint.js'
import { emptyTotals, evaluateBatches, trainEpoch } from './epoch.js'
import { EventStream } from './event-stream.js'
import { type Journal, journalOf } from './journal.js'
import { isBetter, trainFigures } from './metrics.js'
import { makeSchedule } from './schedule.js'
import { freshSession, requireSameRun, resumedSession, type Session } from './session.js'

export interface TrainOptions {
  /** Ends the run within a step; it is saved, then `result` rejects with E_ABORTED. */
  signal?: AbortSignal
  /** A checkpoint folder or run folder to go on from; the run stays in its run folder. */
  resume?: string
}

export interface RunResult {
  runDir: string
  /** The epoch with the best value of config.best.metric on the test split, and the link to it. */
  best: EpochResult
  /** The last epoch. */
  last: EpochResult
}

export interface EpochResult extends TestFigures {
  epoch: number
  checkpoint: string
}

export interface Run extends AsyncIterable<RunEvent> {
  readonly result: Promise<RunResult>
}

type Publish = (event: RunEvent) => void

/**
 * Starts training. The run goes on whether or not anyone iterates over its events; unread progress
 * events collapse to the newest. An error rejects `result` and ends an iteration with the same
 * error.
 *
 * @throws (as a rejection) McLossError E_CONFIG, E_DATA, E_ARGUMENT, E_DEVICE, E_WEIGHTS,
 * E_CHECKPOINT before work starts; E_IMAGE, E_OOM, E_IO, E_NATIVE while it runs; E_ABORTED after an
 * abort, naming the checkpoint.
 */
export function train(config: Config, options: TrainOptions = {}): Run {
  const events = new EventStream()
  const run = async () => {
    try {
      const result = await execute(config, options, (event) => events.push(event))
      events.end()
      return result
    } catch (error) {
      events.end(error)
      throw error
    }
  }
  const result = run()
  return {
    result,
    [Symbol.asyncIterator]() {
      result.catch(() => {}) // an iteration throws it
      return events[Symbol.asyncIterator]()
    },
  }
}

async function execute(config: Config, options: TrainOptions, publish: Publish) {
  const { signal, resume } = options
  requireNotAborted(signal)
  native().checkDevice(config.device) // before data is drawn or read
  const checkpoint = resume === undefined ? undefined : await openCheckpoint(resume)
  const dataset = await openDataset({ ...config.data, signal })
  const stepsPerEpoch = loader(dataset, config, { split: 'train', epoch: 0 }).length
  if (stepsPerEpoch === 0) {
    throw new McLossError(
      'E_CONFIG',
      `train: ${dataset.train.length} training images make no batch of ${config.optim.batchSize}; ` +
        'lower optim.batchSize or set optim.dropLast to false.',
    )
  }
  checkSmallestBatch(config, dataset.train.length)
  const lrAt = makeSchedule(config, stepsPerEpoch)
  if (checkpoint) requireSameRun(checkpoint, config, dataset, stepsPerEpoch)
  const trainer = await (checkpoint
    ? native().NativeTrainer.create(nativeConfig(config, dataset.classes.length))
    : Trainer.create(config, dataset.classes.length))
  try {
    if (checkpoint) await trainer.load(checkpoint.path)
    const journal = journalOf(publish)
    for (const message of dataset.warnings ?? []) journal.emit({ type: 'warning', message })
    const stores = await openStores(dataset, config, { signal, onEvent: journal.emit })
    try {
      requireNotAborted(signal)
      const session = checkpoint ? resumedSession(checkpoint) : await freshSession(config)
      const run = { config, dataset, stores, trainer, stepsPerEpoch, lrAt, journal, ...session }
      return await runEpochs(run, signal)
    } finally {
      stores.close()
    }
  } finally {
    await trainer.dispose()
  }
}

function requireNotAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return
  throw new McLossError('E_ABORTED', 'train: the signal was aborted before the run began.')
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

type RunContext = Session & {
  config: Config
  dataset: Dataset
  stores: Stores
  trainer: NativeTrainer
  stepsPerEpoch: number
  lrAt: (step: number) => number
  journal: Journal
}

async function runEpochs(run: RunContext, signal: AbortSignal | undefined): Promise<RunResult> {
  const { config, dataset, stores, trainer, stepsPerEpoch, lrAt, position } = run
  const { epochs, batchSize, gradAccumSteps } = config.optim
  const { emit } = run.journal
  await run.journal.open(run.runDir)
  let last: EpochResult | undefined
  try {
    emit(startEvent(run))
    emit(stores.event)
    while (position.epoch < epochs) {
      const finished = await trainEpoch(
        {
          trainer,
          batches: loader(dataset, config, {
            split: 'train',
            epoch: position.epoch,
            source: stores.train,
            startBatch: position.stepInEpoch,
          }),
          stepsPerEpoch,
          epochs,
          seed: config.seed,
          microBatch: gradAccumSteps > 1 ? Math.ceil(batchSize / gradAccumSteps) : undefined,
          logEvery: config.logEvery,
          lrAt,
          scalarAt: scalarOf(config.loss, epochs * stepsPerEpoch),
          signal,
          emit,
        },
        position,
        run.totals,
      )
      if (!finished) await saveAndAbort(run, emit)
      last = await finishEpoch(run, signal, emit)
    }
  } finally {
    await run.journal.close()
  }
  if (!last || !run.best) {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${run.runDir} has already done its ${epochs} epochs; nothing is left to train. ` +
        'Raise optim.epochs to go on.',
    )
  }
  const best = { ...run.best, checkpoint: join(run.runDir, 'best') }
  return { runDir: run.runDir, best, last }
}

/** Evaluates, saves and reports the epoch that has just ended. */
async function finishEpoch(
  run: RunContext,
  signal: AbortSignal | undefined,
  emit: Publish,
): Promise<EpochResult | undefined> {
  const { config, dataset, stores, trainer, position, totals } = run
  const { epochs } = config.optim
  const epoch = position.epoch
  const due = (every: number) => epoch + 1 === epochs || (epoch + 1) % every === 0
  const began = performance.now()
  let test: TestFigures | undefined
  if (due(config.evalEvery)) {
    const batches = loader(dataset, config, { split: 'test', epoch, source: stores.test })
    test = await evaluateBatches(trainer, batches, signal)
    // Saved as all steps done, epoch not: a resume evaluates it first.
    if (!test) return await saveAndAbort(run, emit)
  }
  position.epoch++
  position.stepInEpoch = 0
  run.totals = emptyTotals()
  const train = trainFigures(totals.stats, totals.seconds, totals.waitSeconds)
  const isBest = test !== undefined && isBetter(config.best.metric, test, run.best)
  let checkpoint = ''
  if (isBest || due(config.checkpointEvery)) {
    // best first: a run killed between the two goes on from the checkpoint before, and gets here again.
    const links = isBest ? (['best', 'last'] as const) : (['last'] as const)
    if (isBest && test) run.best = { ...test, epoch }
    checkpoint = await saveRun(run, [...links], { train, ...(test && { test }) })
    for (const kind of links) {
      emit({ type: 'checkpoint', kind, path: checkpoint, epoch, step: position.step })
    }
  }
  const seconds = totals.seconds + (performance.now() - began) / 1000
  emit({
    type: 'epoch',
    epoch,
    epochs,
    step: position.step,
    lr: run.lrAt(position.step - 1),
    train,
    ...(test && { test }),
    seconds,
  })
  return test && { ...test, epoch, checkpoint }
}

async function saveAndAbort(run: RunContext, emit: Publish): Promise<never> {
  const path = await saveRun(run, ['last'], {})
  const { epoch, step } = run.position
  emit({ type: 'checkpoint', kind: 'abort', path, epoch, step })
  throw new McLossError(
    'E_ABORTED',
    `train: stopped at epoch ${epoch + 1}, step ${step}; saved ${path}. ` +
      `Go on with: mcloss train --resume ${run.runDir}`,
  )
}

function saveRun(
  run: RunContext,
  links: ('last' | 'best')[],
  metrics: CheckpointState['metrics'],
): Promise<string> {
  const { config, dataset, trainer, stepsPerEpoch, runDir, position, totals, best } = run
  return saveCheckpoint({
    runDir,
    trainer,
    links,
    state: {
      version: 1,
      ...position,
      totals,
      best,
      metrics,
      config: configToJson(config),
      classes: dataset.classes,
      trainSamples: dataset.train.length,
      stepsPerEpoch,
      libtorch: native().buildInfo().libtorch,
    },
  })
}

function startEvent(run: RunContext): StartEvent {
  const { config, dataset } = run
  return {
    type: 'start',
    runDir: run.runDir,
    device: config.device,
    precision: config.precision,
    threads: config.threads,
    channelsLast: config.channelsLast,
    ...settingsOf(config),
    libtorch: native().buildInfo().libtorch,
    classes: dataset.classes.length,
    trainSamples: dataset.train.length,
    testSamples: dataset.test.length,
    epochs: config.optim.epochs,
    stepsPerEpoch: run.stepsPerEpoch,
    step: run.position.step,
  }
}

/** The native trainer, for a loop of one's own (examples/own-loop.ts). */
export const Trainer = {
  /**
   * Builds the model of `config` for `numClasses` classes with weights from config.seed, or from
   * config.model.weights. Call dispose() when done.
   *
   * @throws McLossError E_ARGUMENT, E_CONFIG, E_DEVICE, E_WEIGHTS.
   */
  async create(config: Config, numClasses: number): Promise<NativeTrainer> {
    const trainer = await native().NativeTrainer.create(nativeConfig(config, numClasses))
    if (config.model.weights === undefined) return trainer
    try {
      await trainer.loadWeights(config.model.weights, { backboneOnly: true })
      return trainer
    } catch (error) {
      await trainer.dispose()
      throw error
    }
  },
}
