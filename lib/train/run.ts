// The epochs of a run: training, evaluation, checkpoints, and what is reported of them. What is
// computed is native's; this file decides the order of things.

import { native } from '../binding.js'
import { configToJson, microBatchOf, settingsOf } from '../config/index.js'
import { scalarOf } from '../config/losses/index.js'
import { loader } from '../data/loader.js'
import { preprocessingOf } from '../data/preprocessing.js'
import { McLossError } from '../errors.js'
import type { StartEvent } from '../events.js'
import type { RecordsBeginning } from '../records/index.js'
import { type CheckpointState, saveCheckpoint } from './checkpoint.js'
import type { RunContext } from './context.js'
import { emptyTotals, trainEpoch } from './epoch.js'
import { bestPickedOn, type Evaluation, evaluateEpoch } from './evaluation.js'
import type { LinkName } from './links.js'
import { areFinite, isBetter, trainFigures } from './metrics.js'
import { type Ending, keptText } from './result.js'
import type { EpochResult } from './session.js'
import { watchSkipped } from './skipped.js'

/** `resultOf` makes the result once the epochs are done. */
export async function runEpochs<Result>(
  run: RunContext,
  signal: AbortSignal | undefined,
  resultOf: Ending<Result>['resultOf'],
): Promise<Result> {
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
    await run.records.open(run.runDir, recordsBeginning(run))
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
          freezeBackbone: position.epoch < config.optim.freezeBackboneEpochs,
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
    await run.journal.close().finally(() => run.records.close())
  }
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
  const { picked, ema } = evaluation ?? {}
  const isBest = isSound && picked !== undefined && isBetter(config.best.metric, picked, run.best)
  const metrics = {
    train,
    ...(evaluation && { [evaluation.split]: figures, ...(ema && { ema }) }),
  }
  let checkpoint = ''
  if (isSound && (isBest || due(config.checkpointEvery))) {
    // best first: a run killed between the two goes on from the checkpoint before, and gets here again.
    const links = isBest ? (['best', 'last'] as const) : (['last'] as const)
    if (isBest) {
      run.best = { ...picked, epoch }
      run.bestBatches = evaluation?.batches
    }
    checkpoint = await saveRun(run, [...links], metrics)
    for (const kind of links) {
      emit({ type: 'checkpoint', kind, path: checkpoint, epoch, step: position.step })
    }
  }
  if (evaluation && isSound) await run.mapSheets.write(run.trainer, run.runDir, position.epoch)
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
  return isSound && picked ? { ...picked, epoch, checkpoint } : undefined
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
  const { config, dataset, trainer, trainSamples, stepsPerEpoch } = run
  const { runDir, position, totals, best } = run
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
      trainSamples,
      stepsPerEpoch,
      libtorch: native().buildInfo().libtorch,
      weights: run.weights,
    },
  })
  return run.saved
}

function recordsBeginning({ config, position, stepsPerEpoch }: RunContext): RecordsBeginning {
  const { epoch, step, stepInEpoch } = position
  const { device, threads } = config
  // An epoch whose steps are done, but not its evaluation, has the figures of its last step to come.
  const firstStep = stepInEpoch === stepsPerEpoch ? step : step + 1
  return { epoch, step, firstStep, stepsPerEpoch, device, threads, config: configToJson(config) }
}

function startEvent(run: RunContext): StartEvent {
  const { config, dataset, trainSamples } = run
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
