// What a run will cost, from a few of its steps and batches: processor time of all threads.

import { native } from '../binding.js'
import { type Config, microBatchOf, nativeConfig } from '../config/index.js'
import { scalarOf } from '../config/losses/index.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import { openStores } from '../data/store/index.js'
import { emptyTotals, evaluateBatches, trainEpoch } from '../train/epoch.js'
import { makeSchedule } from '../train/schedule.js'

/** Processor seconds: `start` until the first step, all steps, one evaluation. */
export interface Timing {
  start: number
  steps: number
  evaluation: number
}

const WARM_UP = 2
const TIMED = 8
const EVALUATED = 4

export async function timeOf(config: Config, signal: AbortSignal): Promise<Timing> {
  const dataset = await openDataset({ ...config.data, signal })
  const stores = await openStores(dataset, config, { signal })
  const trainer = await native().NativeTrainer.create(nativeConfig(config, dataset.classes.length))
  try {
    const train = { split: 'train', epoch: 0, source: stores.train } as const
    const stepsPerEpoch = loader(dataset, config, train).length
    const { epochs } = config.optim
    const position = { epoch: 0, stepInEpoch: 0, step: 0 }
    const steps = async (count: number) => {
      const before = position.step
      const batches = loader(dataset, config, { ...train, startBatch: position.stepInEpoch })
      await trainEpoch(
        {
          ...{ trainer, stepsPerEpoch, epochs, signal, seed: config.seed },
          batches: firstOf(batches, count),
          microBatch: microBatchOf(config.optim),
          logEvery: Number.POSITIVE_INFINITY,
          lrAt: makeSchedule(config, stepsPerEpoch),
          scalarAt: scalarOf(config.loss, epochs * stepsPerEpoch),
          emit: () => {},
        },
        position,
        emptyTotals(),
      )
      return position.step - before
    }
    const start = processorSeconds()
    await steps(Math.min(WARM_UP, stepsPerEpoch - 1))
    const [timed, perSteps] = await cost(() => steps(TIMED))
    const test = loader(dataset, config, { split: 'test', epoch: 0, source: stores.test })
    const evaluated = Math.min(EVALUATED, test.length)
    const [, perBatches] = await cost(() => evaluateBatches(trainer, firstOf(test, evaluated)))
    return {
      start,
      steps: (perSteps / timed) * epochs * stepsPerEpoch,
      evaluation: (perBatches / evaluated) * test.length,
    }
  } finally {
    stores.close()
    await trainer.dispose()
  }
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

async function cost<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = processorSeconds()
  const result = await work()
  return [result, processorSeconds() - before]
}

async function* firstOf<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let taken = 0
  for await (const item of items) {
    if (taken++ === count) return
    yield item
  }
}
