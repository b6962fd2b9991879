// The epochs of a run: training, evaluation, checkpoints, and what is reported of them. What is
// computed is native's; this file decides the order of things.

import { join } from 'node:path'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, configToJson, microBatchOf, settingsOf } from '../config/index.js'
import { scalarOf } from '../config/losses/index.js'
import type { Normalisation } from '../config/normalisation.js'
import type { Dataset } from '../data/batch.js'
import { loader } from '../data/loader.js'
import { preprocessingOf } from '../data/preprocessing.js'
import type { Stores } from '../data/store/index.js'
import { positionsOf } from '../data/validation.js'
import { McLossError } from '../errors.js'
import type { EvaluatedSplit, StartEvent } from '../events.js'
import { type CheckpointState, saveCheckpoint } from './checkpoint.js'
import type { Claim } from './claim.js'
import { emptyTotals, trainEpoch } from './epoch.js'
import { bestPickedOn, type Evaluation, evaluateEpoch, testBest } from './evaluation.js'
import type { Journal } from './journal.js'
import type { LinkName } from './links.js'
import { areFinite, isBetter, trainFigures } from './metrics.js'
import type { EpochResult, Session } from './session.js'
import { watchSkipped } from './skipped.js'

export interface RunResult {
  runDir: string
  /**
   * The epoch with the best value of config.best.metric on the split `test.bestPickedOn`, its figures
   * there, and the link to it.
   */
  best: EpochResult
  /** The last epoch, on the same split. */
  last: EpochResult
  /** The best epoch's figures on the test split, which is where it was picked, or was read once for this. */
  test: EpochResult & { bestPickedOn: EvaluatedSplit }
}

type RunContext = Session & {
  config: Config
  dataset: Dataset
  stores: Stores
  trainer: NativeTrainer
  stepsPerEpoch: number
  lrAt: (step: number) => number
  normalisation: Normalisation
  journal: Journal
  claim: Pick<Claim, 'requireHeld'>
}

export async function runEpochs(
  run: RunContext,
  signal: AbortSignal | undefined,
): Promise<RunResult> {
  const { config, dataset, stores, trainer, stepsPerEpoch, lrAt, position } = run
  const { epochs } = config.optim
  const { emit } = run.journal
  await run.journal.open(run.runDir)
  const watch = watchSkipped({
    ...config,
    pathOf: (sample) => dataset.train[sample]?.path ?? '',
    emit,
    kept: () => keptText(run),
  })
  const hasEpochs = position.epoch < epochs
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
          microBatch: microBatchOf(config.optim),
          logEvery: config.logEvery,
          lrAt,
          scalarAt: scalarOf(config.loss, epochs * stepsPerEpoch),
          signal,
          watch,
          emit,
        },
        position,
        run.totals,
      )
      if (!finished) await saveAndAbort(run)
      run.last = await finishEpoch(run, signal)
    }
    return await resultOf(run, hasEpochs, signal)
  } finally {
    await run.journal.close()
  }
}

async function resultOf(
  run: RunContext,
  hasEpochs: boolean,
  signal: AbortSignal | undefined,
): Promise<RunResult> {
  const { config, runDir, last } = run
  const pickedOn = bestPickedOn(config)
  if (hasEpochs && !(last && run.best)) {
    throw new McLossError(
      'E_NUMERICS',
      'train: the figures of the last epoch are not finite, so that there is no result. Lower ' +
        `optim.lr, or look at the warnings in ${join(runDir, 'metrics.jsonl')}. ` +
        keptText(run),
    )
  }
  // With validation images a run that was stopped before its test goes on with that.
  const isDone = !hasEpochs && (pickedOn === 'test' || last?.epoch !== config.optim.epochs - 1)
  if (isDone || !last || !run.best) {
    throw new McLossError(
      'E_CHECKPOINT',
      `train: ${runDir} has already done its ${config.optim.epochs} epochs; nothing is left to ` +
        'train. Raise optim.epochs to go on.',
    )
  }
  const best = { ...run.best, checkpoint: join(runDir, 'best') }
  const test = pickedOn === 'test' ? best : await testResult(run, best, signal)
  return { runDir, best, last, test: { ...test, bestPickedOn: pickedOn } }
}

/** Of the one evaluation of the test split in a run that picks on validation images. */
async function testResult(
  run: RunContext,
  { epoch, checkpoint }: EpochResult,
  signal: AbortSignal | undefined,
): Promise<EpochResult> {
  const began = performance.now()
  const test = await testBest(run, signal)
  if (!test) {
    throw new McLossError(
      'E_ABORTED',
      `train: stopped in the evaluation of the test split; every epoch is saved in ${run.saved}. ` +
        `Go on with: mcloss train --resume ${run.runDir}`,
    )
  }
  if (!areFinite(test)) {
    throw new McLossError(
      'E_NUMERICS',
      `train: the figures of ${checkpoint} on the test split are not finite, though they are on the ` +
        'validation images. Look at the test images with: mcloss data check',
    )
  }
  const seconds = (performance.now() - began) / 1000
  run.journal.emit({ type: 'test', epoch, checkpoint, test, seconds })
  return { ...test, epoch, checkpoint }
}

/** Evaluates, saves and reports the epoch that has just ended. */
async function finishEpoch(
  run: RunContext,
  signal: AbortSignal | undefined,
): Promise<EpochResult | undefined> {
  const { config, position, totals } = run
  const { emit } = run.journal
  const { epochs } = config.optim
  const epoch = position.epoch
  const due = (every: number) => epoch + 1 === epochs || (epoch + 1) % every === 0
  const began = performance.now()
  let evaluation: Evaluation | undefined
  if (due(config.evalEvery)) {
    evaluation = await evaluateEpoch(run, signal)
    // Saved as all steps done, epoch not: a resume evaluates it first.
    if (!evaluation) return await saveAndAbort(run)
  }
  const figures = evaluation?.figures
  position.epoch++
  position.stepInEpoch = 0
  run.totals = emptyTotals()
  const train = trainFigures(totals.stats, totals.seconds, totals.waitSeconds)
  const isSound = areFinite(train) && (!figures || areFinite(figures))
  if (!isSound) {
    const lossOf = (of: { loss: number }) => of.loss.toPrecision(4)
    const evaluated = evaluation ? `, ${evaluation.split} loss ${lossOf(evaluation.figures)}` : ''
    const message =
      `train: the figures of epoch ${epoch + 1} are not finite (train loss ${lossOf(train)}` +
      `${evaluated}): it is not saved and ` +
      'is not the best epoch.'
    emit({ type: 'warning', message })
  }
  const isBest = isSound && figures !== undefined && isBetter(config.best.metric, figures, run.best)
  const metrics = { train, ...(evaluation && { [evaluation.split]: figures }) }
  let checkpoint = ''
  if (isSound && (isBest || due(config.checkpointEvery))) {
    // best first: a run killed between the two goes on from the checkpoint before, and gets here again.
    const links = isBest ? (['best', 'last'] as const) : (['last'] as const)
    if (isBest) run.best = { ...figures, epoch }
    checkpoint = await saveRun(run, [...links], metrics)
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
    ...metrics,
    seconds,
  })
  return isSound && figures ? { ...figures, epoch, checkpoint } : undefined
}

/** What a run that ends with E_NUMERICS leaves, and how to go on. */
function keptText({ saved, runDir }: RunContext): string {
  return saved
    ? `The last checkpoint is ${saved}; go on from it with: mcloss train --resume ${runDir} ` +
        '--optim.lr RATE'
    : 'No checkpoint was saved; start anew.'
}

async function saveAndAbort(run: RunContext): Promise<never> {
  const path = await saveRun(run, ['last'], {})
  const { epoch, step } = run.position
  run.journal.emit({ type: 'checkpoint', kind: 'abort', path, epoch, step })
  throw new McLossError(
    'E_ABORTED',
    `train: stopped at epoch ${epoch + 1}, step ${step}; saved ${path}. ` +
      `Go on with: mcloss train --resume ${run.runDir}`,
  )
}

async function saveRun(
  run: RunContext,
  links: LinkName[],
  metrics: CheckpointState['metrics'],
): Promise<string> {
  await run.claim.requireHeld()
  const { config, dataset, trainer, stepsPerEpoch, runDir, position, totals, best } = run
  run.saved = await saveCheckpoint({
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
      preprocessing: preprocessingOf(dataset),
      trainSamples: positionsOf(dataset, config, 'train').length,
      stepsPerEpoch,
      libtorch: native().buildInfo().libtorch,
      weights: run.weights,
    },
  })
  return run.saved
}

function startEvent(run: RunContext): StartEvent {
  const { config, dataset } = run
  const trainSamples = positionsOf(dataset, config, 'train').length
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
    trainSamples,
    validationSamples: dataset.train.length - trainSamples,
    testSamples: dataset.test.length,
    bestPickedOn: bestPickedOn(config),
    epochs: config.optim.epochs,
    stepsPerEpoch: run.stepsPerEpoch,
    step: run.position.step,
    mean: run.normalisation.mean,
    std: run.normalisation.std,
    normalisation: run.normalisation.source,
  }
}
