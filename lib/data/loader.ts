// From a split to batches: rows of an open store, or pixels decoded ahead of the reader
// (stream.ts). Order, windows and jitter are pure functions of (seed, epoch, index), so both
// give the same batches, whatever the number of decoders.

import { checkArgument } from '../arguments.js'
import { McLossError } from '../errors.js'
import { checkSeed } from '../random.js'
import { checkTransform, jitter, type Transform, window } from './augment.js'
import { type BadImages, badImages } from './bad-images.js'
import type { Batch, Dataset, LoadedSplit } from './batch.js'
import { checkSplit, datasetShape } from './datasets/lists/check.js'
import { batches, order } from './sampler.js'
import { epochShape, loaderShape } from './shapes.js'
import { aborted, type BatchPlan, streamBatches } from './stream.js'
import { positionsOf } from './validation.js'

/** What the loader needs of a run's configuration; a Config is one. */
export interface LoaderOptions {
  /** 0..2^53-1: decides order, crops, flips and jitter. */
  seed: number
  data: Transform & {
    /** Batches decoded ahead of the reader, >= 1. */
    prefetch: number
    /** Images decoded at the same time, >= 1; sharp works on 4 threads. */
    decoders: number
    /** The fraction of each class's training images that is the split validation. Default: none. */
    validation?: number | undefined
  }
  optim: {
    /** Samples in a batch, over all ranks together. */
    batchSize: number
    /** Leave out a last training batch that is not full. Others are never left out. */
    dropLast: boolean
  }
}

export interface EpochOptions {
  /** From 0; only the training split differs from epoch to epoch. */
  epoch: number
  split: LoadedSplit
  /** Of openStores: the split's store and its bad images, for validation those of train. Left out: decode, refuse bad images. */
  source?: { store: number | undefined; badImages: BadImages } | undefined
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
 * One epoch of a split as batches with their crop windows: rows of the store, else u8 pixels [count,
 * resize height, resize width, 3]. Training samples come in the seed's order, others in file order.
 * Decoding begins with the iteration and waits when `prefetch` batches are unread. A bad image
 * that may be left out makes its batch smaller.
 *
 * @throws McLossError E_CONFIG, E_ARGUMENT for options that cannot be met, E_DATA for an empty split
 * or a label out of range, at once; the iteration rejects with E_IMAGE naming a file that cannot be
 * decoded or a batch without a good image, E_ABORTED after an abort.
 */
export function loader(dataset: Dataset, options: LoaderOptions, epoch: EpochOptions): Loader {
  checkArgument('loader', 'dataset', datasetShape, dataset)
  checkArgument('loader', 'options', loaderShape, options)
  checkArgument('loader', 'epoch', epochShape, epoch)
  const { prefetch, decoders } = options.data
  const { split, startBatch = 0, rank = 0, worldSize = 1, signal } = epoch
  checkTransform(options.data)
  checkSeed(options.seed)
  const home = split === 'test' ? 'test' : 'train'
  checkSplit(dataset, home)
  requireInteger('prefetch', prefetch, 1)
  requireInteger('decoders', decoders, 1)
  requireInteger('epoch', epoch.epoch, 0)
  const samples = dataset[home]
  const positions = positionsOf(dataset, options, split)
  const sequence =
    split === 'train'
      ? order(positions.length, options.seed, epoch.epoch).map((at) => positions[at] as number)
      : positions
  const dropLast = split === 'train' && options.optim.dropLast
  const plan = batches(sequence, options.optim.batchSize, dropLast, rank, worldSize)
  requireInteger('startBatch', startBatch, 0, plan.length)
  const { store, badImages: bad } = epoch.source ?? {
    store: undefined,
    badImages: badImages('error', samples),
  }
  const planOf = (index: number, good: Int32Array): BatchPlan => ({
    index,
    samples: good,
    labels: Int32Array.from(good, (sample) => samples[sample]?.label ?? -1),
    ...placement(good, options, epoch),
  })
  const at = (index: number) => plan[index] as Int32Array
  const settings = {
    samples,
    size: options.data.resize,
    most: options.optim.batchSize / worldSize,
    bad,
    prefetch,
    decoders,
    signal,
  }
  return {
    length: plan.length,
    [Symbol.asyncIterator]: () =>
      filled(
        store === undefined
          ? streamBatches({ ...settings, first: startBatch, end: plan.length, at, planOf })
          : rowBatches(store, bad, startBatch, plan, planOf, signal),
      ),
  }
}

/** Where each sample is cut and how its colours change: windows [n, 3]; jitter [n, 3] if there is any. */
function placement(samples: Int32Array, { seed, data }: LoaderOptions, epoch: EpochOptions) {
  const windows = new Int32Array(samples.length * 3)
  const factors = new Float32Array(samples.length * 3)
  const amounts = epoch.split === 'train' ? data.jitter : undefined
  const jitters = amounts && Object.values(amounts).some((amount) => amount > 0)
  for (const [row, sample] of samples.entries()) {
    const { top, left, flip } = window(seed, epoch.epoch, sample, data, epoch.split)
    windows.set([top, left, flip ? 1 : 0], row * 3)
    if (jitters) factors.set(jitter(seed, epoch.epoch, sample, amounts), row * 3)
  }
  return { windows, ...(jitters && { jitter: factors }) }
}

async function* rowBatches(
  store: number,
  bad: BadImages,
  first: number,
  plan: Int32Array[],
  planOf: (index: number, good: Int32Array) => BatchPlan,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
  for (let index = first; index < plan.length; index++) {
    if (signal?.aborted) throw aborted()
    const rows = (plan[index] as Int32Array).filter((sample) => !bad.has(sample))
    yield { ...planOf(index, rows), count: rows.length, store, rows, release: () => {} }
  }
}

/** No step can be taken on a batch of nothing. */
async function* filled(batches: AsyncIterable<Batch>): AsyncGenerator<Batch, void, undefined> {
  for await (const batch of batches) {
    if (batch.count > 0) yield batch
    else {
      throw new McLossError(
        'E_IMAGE',
        `loader: no image of batch ${batch.index} can be decoded. Replace the files that were left ` +
          'out, or raise optim.batchSize.',
      )
    }
  }
}

function requireInteger(name: string, value: number, least: number, most = Infinity): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const range = most === Infinity ? `>= ${least}` : `${least}..${most}`
  throw new McLossError(
    'E_CONFIG',
    `loader: expected ${name} to be an integer ${range} but received ${value}.`,
  )
}
