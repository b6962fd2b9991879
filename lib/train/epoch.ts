// One pass over a split: the training steps of an epoch, and an evaluation. Two steps are kept in
// flight so that the native thread never waits for the event loop.

import type { NativeTrainer } from '../binding.js'
import type { Batch } from '../data/batch.js'
import type { ProgressEvent, TestFigures, WarningEvent } from '../events.js'
import { addStats, emptyStats, type StatSums, testFigures, trainFigures } from './metrics.js'

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
  logEvery: number
  lrAt: (step: number) => number
  /** Of a loss with a schedule of its own. */
  scalarAt?: ((step: number) => number) | undefined
  signal: AbortSignal | undefined
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
  const { trainer, stepsPerEpoch, logEvery, lrAt, signal } = context
  let since = performance.now()
  let idleSince = since
  let idle = 0
  let running = 0
  let previous = Promise.resolve()
  let reported = position.stepInEpoch

  const report = async () => {
    const stats = await trainer.stats()
    const now = performance.now()
    const [seconds, waitSeconds] = [(now - since) / 1000, idle / 1000]
    totals.stats = addStats(totals.stats, stats)
    totals.seconds += seconds
    totals.waitSeconds += waitSeconds
    since = now
    idle = 0
    reported = position.stepInEpoch
    for (const message of stats.warnings) context.emit({ type: 'warning', message })
    const done = stats.steps || 1
    context.emit({
      type: 'progress',
      ...trainFigures(stats, seconds, waitSeconds),
      ...position,
      epochs: context.epochs,
      stepsPerEpoch,
      lr: lrAt(position.step - 1),
      etaSeconds: (seconds / done) * (context.epochs * stepsPerEpoch - position.step),
    })
  }

  for await (const batch of context.batches) {
    if (signal?.aborted) break
    if (running++ === 0) idle += performance.now() - idleSince
    const current = trainer
      .step(batch, {
        step: position.step,
        seed: context.seed,
        lr: lrAt(position.step),
        ...(context.scalarAt && { scalar: context.scalarAt(position.step) }),
        ...(context.microBatch && { microBatch: context.microBatch }),
      })
      .then(() => {
        if (--running === 0) idleSince = performance.now()
        batch.release()
      })
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
  trainer: NativeTrainer,
  batches: AsyncIterable<Batch>,
  signal?: AbortSignal,
): Promise<TestFigures | undefined> {
  const all = []
  for await (const batch of batches) {
    if (signal?.aborted) return undefined
    all.push(await trainer.evaluate(batch))
    batch.release()
  }
  return testFigures(all)
}
