// Batches decoded ahead of their reader into staging buffers: a bounded number of batches and of
// images at a time. Who finishes first changes nothing.

import { McLossError } from '../errors.js'
import type { BadImages } from './bad-images.js'
import type { Batch, Sample } from './batch.js'
import { decodeTo } from './images.js'
import { gate } from './pool.js'

/** A batch before its pixels are known. */
export type BatchPlan = Pick<
  Batch,
  'index' | 'samples' | 'labels' | 'windows' | 'jitter' | 'erased'
>

export interface StreamOptions {
  samples: readonly Sample[]
  /** [height, width], pixels. */
  size: readonly [number, number]
  /** Batches first..end-1 are read. */
  first: number
  end: number
  /** The samples of a batch. */
  at: (index: number) => Int32Array
  /** The batch of those of them that could be decoded. */
  planOf: (index: number, good: Int32Array) => BatchPlan
  /** Samples in a batch, at the most. */
  most: number
  bad: BadImages
  prefetch: number
  decoders: number
  signal: AbortSignal | undefined
}

/** A batch without an image that could be decoded has a count of 0. */
export async function* streamBatches(
  options: StreamOptions,
): AsyncGenerator<Batch, void, undefined> {
  const { first, end, prefetch, decoders, signal } = options
  let left = false
  const isOver = () => left || signal?.aborted === true
  const decoding = gate(decoders)
  const staging: Staging = []
  const ahead: Promise<Batch>[] = []
  let next = first
  const decodeAhead = () => {
    while (ahead.length < prefetch && next < end) {
      const batch = assemble(next, options, staging, decoding, isOver)
      batch.catch(() => {}) // seen by whoever awaits it in turn
      ahead.push(batch)
      next++
    }
  }
  try {
    for (let index = first; index < end; index++) {
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

async function assemble(
  index: number,
  options: StreamOptions,
  staging: Staging,
  decoding: ReturnType<typeof gate>,
  isOver: () => boolean,
): Promise<Batch> {
  const { samples, size, bad } = options
  const [height, width] = size
  const bytes = height * width * 3
  const buffer = staging.pop() ?? new Uint8Array(options.most * bytes)
  const indices = options.at(index)
  const isGood = await allOrFirstError(
    Array.from(indices, async (sample, row) => {
      const out = buffer.subarray(row * bytes, (row + 1) * bytes)
      await decoding.enter()
      try {
        if (isOver()) throw aborted()
        await decodeTo(samples[sample] as Sample, size, out)
        return true
      } catch (error) {
        bad.report(sample, error)
        return false
      } finally {
        decoding.leave()
      }
    }),
  )
  const good = indices.filter((_, row) => isGood[row])
  for (let row = 0, to = 0; row < indices.length; row++) {
    if (!isGood[row]) continue
    if (to !== row) buffer.copyWithin(to * bytes, row * bytes, (row + 1) * bytes)
    to++
  }
  let held = true
  const release = () => {
    if (held) staging.push(buffer)
    held = false
  }
  const count = good.length
  const pixels = buffer.subarray(0, count * bytes)
  return { ...options.planOf(index, good), pixels, count, height, width, release }
}

/** Waits for every promise, so that nothing goes on behind a failure, then throws the first error. */
async function allOrFirstError<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

export function aborted(): McLossError {
  return new McLossError('E_ABORTED', 'loader: stopped by its AbortSignal.')
}
