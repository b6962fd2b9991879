// One pass over a split: the training steps of an epoch, and an evaluation. Two steps are kept in
// flight so that the native thread never waits for the event loop.

import type { NativeTrainer, StepStats } from '../binding.js'
import type { Batch } from '../data/batch.js'
import type { ProgressEvent, WarningEvent } from '../events.js'
import type { EvaluatedBatch } from '../records/answers.js'
import { addStats, emptyStats, type StatSums, trainFigures } from './metrics.js'
import type { GivenStep, SkipWatch } from './skipped.js'

/** Where a run stands. */
export interface Position {
  /** Epochs done. */
  epoch: number
  /** Steps done in the epoch after those. */
  stepInEpoch: number
  /** Steps done in all. */
  step: number
}

/** What an epoch has added up so far; an interrupted one goes on with it. */
export interface EpochTotals {
  stats: StatSums
  seconds: number
  waitSeconds: number
}

export function emptyTotals(): EpochTotals {
  return { stats: emptyStats(), seconds: 0, waitSeconds: 0 }
}

export interface EpochContext {
  trainer: NativeTrainer
  batches: AsyncIterable<Batch>
  stepsPerEpoch: number
  epochs: number
  seed: number
  microBatch: number | undefined
  /** Only the head and the loss's own parameters train. Default false. */
  freezeBackbone?: boolean
  logEvery: number
  lrAt: (step: number) => number
  /** Of a loss with a schedule of its own. */
  scalarAt?: ((step: number) => number) | undefined
  signal: AbortSignal | undefined
  /** Of a run; it goes on over the epochs. */
  watch?: SkipWatch | undefined
  emit: (event: ProgressEvent | WarningEvent) => void
}

/**
 * Trains to the end of the epoch, or to the next step boundary after an abort. Moves `position` on
 * and adds to `totals`; returns whether the epoch was finished.
 */
export async function trainEpoch(
  context: EpochContext,
  position: Position,
  totals: EpochTotals,
): Promise<boolean> {
  const { trainer, stepsPerEpoch, logEvery, lrAt, signal, watch } = context
  let since = performance.now()
  let idleSince = since
  let idle = 0
  let running = 0
  let previous: Promise<unknown> = Promise.resolve()
  let reported = position.stepInEpoch
  let recent = emptyStats()
  const unread: GivenStep[] = []

  const take = (stats: StepStats) => {
    recent = addStats(recent, stats)
    totals.stats = addStats(totals.stats, stats)
    for (const message of stats.warnings) context.emit({ type: 'warning', message })
    const steps = unread.splice(0, stats.steps)
    if (steps.length > 0) watch?.see(steps, stats.skipped)
  }

  const report = async () => {
    take(await trainer.stats())
    const now = performance.now()
    const [seconds, waitSeconds] = [(now - since) / 1000, idle / 1000]
    totals.seconds += seconds
    totals.waitSeconds += waitSeconds
    since = now
    idle = 0
    reported = position.stepInEpoch
    const done = recent.steps || 1
    context.emit({
      type: 'progress',
      ...trainFigures(recent, seconds, waitSeconds),
      ...position,
      epochs: context.epochs,
      stepsPerEpoch,
      lr: lrAt(position.step - 1),
      etaSeconds: (seconds / done) * (context.epochs * stepsPerEpoch - position.step),
    })
    recent = emptyStats()
  }

  for await (const batch of context.batches) {
    if (signal?.aborted) break
    if (running++ === 0) idle += performance.now() - idleSince
    const { step } = position
    const lr = lrAt(step)
    const stepped = trainer
      .step(batch, {
        step,
        seed: context.seed,
        lr,
        ...(context.scalarAt && { scalar: context.scalarAt(step) }),
        ...(context.microBatch && { microBatch: context.microBatch }),
        ...(context.freezeBackbone && { freezeBackbone: true }),
      })
      .then(() => {
        if (--running === 0) idleSince = performance.now()
        batch.release()
      })
    unread.push({ step, lr, samples: batch.samples })
    // Asked for behind the step and before the next one: the statistics of this step alone.
    const read = watch?.readsEachStep ? trainer.stats() : undefined
    const current = Promise.all([read, stepped]).then(([stats]) => stats && take(stats))
    current.catch(() => {}) // awaited one step later
    await previous
    previous = current
    position.step++
    position.stepInEpoch++
    if (position.stepInEpoch % logEvery === 0 && position.stepInEpoch < stepsPerEpoch) {
      await current
      await report()
    }
  }
  await previous
  if (position.stepInEpoch > reported) await report()
  return position.stepInEpoch === stepsPerEpoch
}

/** Evaluates every batch; stops early, without a result, once aborted. */
export async function evaluateBatches(
  trainer: Pick<NativeTrainer, 'evaluate'>,
  batches: AsyncIterable<Batch>,
  signal?: AbortSignal,
): Promise<EvaluatedBatch[] | undefined> {
  return (await evaluateWeights(trainer, batches, ['raw'], signal))?.raw
}

/** The same with each of these weights of the trainer, in one pass over the batches. */
export async function evaluateWeights<Name extends 'raw' | 'ema'>(
  trainer: Pick<NativeTrainer, 'evaluate'>,
  batches: AsyncIterable<Batch>,
  names: readonly Name[],
  signal?: AbortSignal,
): Promise<Record<Name, EvaluatedBatch[]> | undefined> {
  const all = names.map((weights) => [weights, [] as EvaluatedBatch[]] as const)
  for await (const batch of batches) {
    if (signal?.aborted) return undefined
    const { samples, labels } = batch
    for (const [weights, found] of all) {
      found.push({ ...(await trainer.evaluate(batch, { weights })), samples, labels })
    }
    batch.release()
  }
  return Object.fromEntries(all) as Record<Name, EvaluatedBatch[]>
}
