// Batches decoded ahead of their reader into staging buffers: a bounded number of batches and of
// images at a time. Who finishes first changes nothing.

import { McLossError } from '../errors.js'
import type { BadImages } from './bad-images.js'
import type { Batch, Sample } from './batch.js'
import { decodeTo, type Picture } from './images.js'
import { type Gate, gate } from './pool.js'

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
  decoding: Gate,
  isOver: () => boolean,
): Promise<Batch> {
  const { samples, size, bad } = options
  const [height, width] = size
  const bytes = height * width * 3
  const buffer = staging.pop() ?? new Uint8Array(options.most * bytes)
  const indices = options.at(index)
  const pictures = Array.from(indices, (sample) => samples[sample] as Sample)
  const report = (row: number, error: unknown) => bad.report(indices[row] as number, error)
  const rows = await decodeRows(pictures, { size, buffer, decoding, isOver, report })
  const good = Int32Array.from(rows, (row) => indices[row] as number)
  let held = true
  const release = () => {
    if (held) staging.push(buffer)
    held = false
  }
  const count = good.length
  const pixels = buffer.subarray(0, count * bytes)
  return { ...options.planOf(index, good), pixels, count, height, width, release }
}

export interface DecodeRowsOptions {
  /** [height, width], pixels. */
  size: readonly [number, number]
  /** Has a row for every picture. */
  buffer: Uint8Array
  /** Bounds how many are decoded at a time. */
  decoding: Gate
  /** Whether a picture that is not begun is no longer wanted: it is reported as aborted. */
  isOver: (row: number) => boolean
  /** Returns where the picture may be left out. @throws the error itself where it may not. */
  report: (row: number, error: unknown) => void
}

/** Decodes pictures into the buffer, without gaps; gives the positions of those that are there. */
export async function decodeRows(
  pictures: readonly Picture[],
  { size, buffer, decoding, isOver, report }: DecodeRowsOptions,
): Promise<number[]> {
  const bytes = size[0] * size[1] * 3
  const isGood = await allOrFirstError(
    pictures.map(async (picture, row) => {
      const out = buffer.subarray(row * bytes, (row + 1) * bytes)
      await decoding.enter()
      try {
        if (isOver(row)) throw aborted()
        await decodeTo(picture, size, out)
        return true
      } catch (error) {
        report(row, error)
        return false
      } finally {
        decoding.leave()
      }
    }),
  )
  const good = [...pictures.keys()].filter((row) => isGood[row])
  for (const [to, row] of good.entries()) {
    if (to !== row) buffer.copyWithin(to * bytes, row * bytes, (row + 1) * bytes)
  }
  return good
}

/** Waits for every promise, so that nothing goes on behind a failure, then throws the first error. */
async function allOrFirstError<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

export function aborted(): McLossError {
  return new McLossError('E_ABORTED', 'loader: stopped by its AbortSignal.')
}
