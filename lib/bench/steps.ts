// A trainer of its own for one figure of a bench, driven as a run drives it.

import { type NativeTrainer, native, type OperatorTime } from '../binding.js'
import { type Config, microBatchOf, nativeConfig } from '../config/index.js'
import type { Batch } from '../data/batch.js'
import { McLossError } from '../errors.js'
import { emptyTotals, trainEpoch } from '../train/epoch.js'
import { type BenchData, take, trainingBatches } from './batches.js'

/** Small: labels may be noise. What a step costs does not depend on it. */
const LR = 1e-3
const PROFILED_STEPS = 3

export type BenchSteps = (
  count: number,
) => Promise<{ imagesPerSecond: number; loss: number; dataWait: number }>

/** On a GPU autotuning and graphs need a few; on a CPU one is as good as the tenth. */
export const warmUp = ({ device }: Config) => (device === 'cuda' ? 10 : 1)

/**
 * Makes a trainer for `use` and disposes of it. The steps given to `use` go on where the last ended;
 * `began` is when the trainer began to be made (performance.now()).
 */
export async function withSteps<T>(
  config: Config,
  data: Pick<BenchData, 'dataset' | 'source'>,
  use: (run: BenchSteps, began: number, trainer: NativeTrainer) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const began = performance.now()
  const trainer = await native().NativeTrainer.create(
    nativeConfig(config, data.dataset.classes.length),
  )
  const sequence = trainingBatches(data, config, signal)
  const position = { epoch: 0, stepInEpoch: 0, step: 0 }
  const run: BenchSteps = async (count) => {
    const totals = emptyTotals()
    await trainEpoch(
      {
        trainer,
        batches: take(sequence, count),
        stepsPerEpoch: Number.POSITIVE_INFINITY,
        epochs: 1,
        seed: config.seed,
        microBatch: microBatchOf(config.optim),
        logEvery: Number.POSITIVE_INFINITY,
        lrAt: () => LR,
        signal,
        emit: () => {},
      },
      position,
      totals,
    )
    const { stats, seconds, waitSeconds } = totals
    if (stats.skipped > 0) {
      throw new McLossError(
        'E_NUMERICS',
        `bench: ${stats.skipped} of ${stats.steps} steps with precision ${config.precision} had a loss ` +
          'or gradient that was not finite, so that they have no speed. Look at data.mean, data.std ' +
          'and the weights of the loss.',
      )
    }
    return {
      imagesPerSecond: stats.n / seconds,
      loss: stats.loss / stats.n,
      dataWait: waitSeconds / seconds,
    }
  }
  try {
    return await use(run, began, trainer)
  } finally {
    await sequence.return()
    await trainer.dispose()
  }
}

/** Where the time of a step goes: the mean over a few; calls are those of one. */
export function profileOf(config: Config, noise: BenchData): Promise<OperatorTime[]> {
  // A replayed graph has no operators.
  return withSteps({ ...config, cudaGraph: 'off' }, noise, async (run, _, trainer) => {
    await run(1 + warmUp(config))
    const sums = new Map<string, OperatorTime>()
    const microBatch = microBatchOf(config.optim)
    const options = { seed: config.seed, lr: LR, ...(microBatch && { microBatch }) }
    let step = 1 + warmUp(config)
    for await (const batch of take<Batch>(trainingBatches(noise, config), PROFILED_STEPS)) {
      const times = await trainer.profile(batch, { ...options, step: step++ })
      for (const { name, calls, selfMs } of times) {
        const before = sums.get(name)?.selfMs ?? 0
        sums.set(name, { name, calls, selfMs: before + selfMs / PROFILED_STEPS })
      }
    }
    return [...sums.values()].sort((a, b) => b.selfMs - a.selfMs)
  })
}
