// From a split to batches: decodes ahead of the reader into staging buffers, a bounded number of
// batches and of images at a time. Order, windows and pixels are pure functions of (seed, epoch,
// index); how many decoders there are and who finishes first changes nothing.

import { checkTransform, type Transform, window } from './augment.js'
import type { Batch, Dataset, Sample } from './batch.js'
import { checkSplit } from './datasets/check.js'
import { McLossError } from './errors.js'
import { decodeTo } from './images.js'
import { checkSeed } from './rng.js'
import { batches, order } from './sampler.js'

/** What the loader needs of a run's configuration; a Config is one. */
export interface LoaderOptions {
  /** 0..2^53-1: decides order, crops and flips. */
  seed: number
  data: Transform & {
    /** Batches decoded ahead of the reader, >= 1. */
    prefetch: number
    /** Images decoded at the same time, >= 1; sharp works on 4 threads. */
    decoders: number
  }
  optim: {
    /** Samples in a batch, over all ranks together. */
    batchSize: number
    /** Leave out a last training batch that is not full. Test batches are never left out. */
    dropLast: boolean
  }
}

export interface EpochOptions {
  /** From 0; the test split is the same in every epoch. */
  epoch: number
  split: 'train' | 'test'
  /** Batches of the epoch to leave out, for a resume. Default 0. */
  startBatch?: number | undefined
  rank?: number | undefined
  worldSize?: number | undefined
  /** Ends the iteration with E_ABORTED. */
  signal?: AbortSignal | undefined
}

export interface Loader extends AsyncIterable<Batch> {
  /** Batches in the whole epoch, the left-out ones included; the same on every rank. */
  readonly length: number
}

/**
 * One epoch of a split as batches of u8 pixels [count, resize height, resize width, 3] with their
 * crop windows. Training samples come in the seed's order, test samples in file order. Decoding
 * begins with the iteration and waits when `prefetch` batches are unread.
 *
 * @throws McLossError E_CONFIG, E_ARGUMENT for options that cannot be met, E_DATA for an empty split
 * or a label out of range, at once; the iteration rejects with E_IMAGE naming a file that cannot be
 * decoded, E_ABORTED after an abort.
 */
export function loader(dataset: Dataset, options: LoaderOptions, epoch: EpochOptions): Loader {
  const { prefetch, decoders } = options.data
  const { split, startBatch = 0, rank = 0, worldSize = 1 } = epoch
  checkTransform(options.data)
  checkSeed(options.seed)
  checkSplit(dataset, split)
  requireInteger('prefetch', prefetch, 1)
  requireInteger('decoders', decoders, 1)
  requireInteger('epoch', epoch.epoch, 0)
  const { length } = dataset[split]
  const sequence =
    split === 'train'
      ? order(length, options.seed, epoch.epoch)
      : Int32Array.from(Array(length).keys())
  const dropLast = split === 'train' && options.optim.dropLast
  const plan = batches(sequence, options.optim.batchSize, dropLast, rank, worldSize)
  requireInteger('startBatch', startBatch, 0, plan.length)
  const assemble = assembler(dataset[split], options, epoch)
  return {
    length: plan.length,
    [Symbol.asyncIterator]: () =>
      iterate(plan, startBatch, prefetch, decoders, assemble, epoch.signal),
  }
}

/** Decodes one planned batch; `run` admits a bounded number of its images at a time. */
type Assemble = (indices: Int32Array, index: number, staging: Staging, run: Gate) => Promise<Batch>

async function* iterate(
  plan: Int32Array[],
  startBatch: number,
  prefetch: number,
  decoders: number,
  assemble: Assemble,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
  let left = false
  const run = gate(decoders, () => left || signal?.aborted === true)
  const staging: Staging = []
  const ahead: Promise<Batch>[] = []
  let next = startBatch
  const decodeAhead = () => {
    while (ahead.length < prefetch && next < plan.length) {
      const batch = assemble(plan[next] as Int32Array, next, staging, run)
      batch.catch(() => {}) // seen by whoever awaits it in turn
      ahead.push(batch)
      next++
    }
  }
  try {
    for (let index = startBatch; index < plan.length; index++) {
      if (signal?.aborted) throw aborted()
      decodeAhead()
      const batch = await (ahead[0] as Promise<Batch>)
      ahead.shift()
      decodeAhead()
      yield batch
    }
  } finally {
    left = true
    await Promise.allSettled(ahead)
  }
}

/** Pixel buffers that readers have handed back. */
type Staging = Uint8Array[]

function assembler(samples: Sample[], options: LoaderOptions, epoch: EpochOptions): Assemble {
  const { seed, data: transform } = options
  const [height, width] = transform.resize
  const bytes = height * width * 3
  const most = options.optim.batchSize / (epoch.worldSize ?? 1)
  return async (indices, index, staging, run) => {
    const count = indices.length
    const buffer = staging.pop() ?? new Uint8Array(most * bytes)
    const windows = new Int32Array(count * 3)
    const labels = new Int32Array(count)
    const decoding = Array.from(indices, (sampleIndex, row) => {
      const sample = samples[sampleIndex] as Sample
      const { top, left, flip } = window(seed, epoch.epoch, sampleIndex, transform, epoch.split)
      windows.set([top, left, flip ? 1 : 0], row * 3)
      labels[row] = sample.label
      const out = buffer.subarray(row * bytes, (row + 1) * bytes)
      return run(() => decodeTo(sample, transform.resize, out))
    })
    await allOrFirstError(decoding)
    let held = true
    const release = () => {
      if (held) staging.push(buffer)
      held = false
    }
    const pixels = buffer.subarray(0, count * bytes)
    return { pixels, count, height, width, windows, labels, index, samples: indices, release }
  }
}

/** Waits for every promise, so that nothing goes on behind a failure, then throws the first error. */
async function allOrFirstError(promises: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === 'rejected')
  if (failed) throw (failed as PromiseRejectedResult).reason
}

/** Runs a task when fewer than `limit` are running, in the order asked; none once it is over. */
type Gate = (task: () => Promise<void>) => Promise<void>

function gate(limit: number, isOver: () => boolean): Gate {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running === limit) await new Promise<void>((admit) => waiting.push(admit))
    else running++
    try {
      if (isOver()) throw aborted()
      await task()
    } finally {
      const admit = waiting.shift()
      if (admit) admit()
      else running--
    }
  }
}

function aborted(): McLossError {
  return new McLossError('E_ABORTED', 'loader: stopped by its AbortSignal.')
}

function requireInteger(name: string, value: number, least: number, most = Infinity): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const range = most === Infinity ? `>= ${least}` : `${least}..${most}`
  throw new McLossError(
    'E_CONFIG',
    `loader: expected ${name} to be an integer ${range} but received ${value}.`,
  )
}
