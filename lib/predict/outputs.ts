// What a model says of pictures, batch by batch: decoded as those of its own evaluation were, then
// computed.

import type { NativeBatch, PixelSource } from '../binding.js'
import { testWindows } from '../data/augment.js'
import { heightWidth } from '../data/batch.js'
import type { Picture } from '../data/images.js'
import { gate } from '../data/pool.js'
import { decodeRows } from '../data/stream.js'
import { McLossError } from '../errors.js'
import { batching, type Outcome } from './batching.js'
import { cutOf, type Model, type ModelOptions, notFinite, openModel, tellNative } from './model.js'
import { probabilitiesOf, ranked, rowOf, type Views, viewsOf } from './views.js'

/** What is asked of a picture. */
export interface Wish {
  /** Who asks, for errors. */
  who: string
  /** How many classes; 0: none. */
  top: number
  embedding: boolean
}

export interface Answer {
  /** Most probable first; empty with an error. */
  top: { class: string; label: number; probability: number }[]
  /** Why there is no answer: E_IMAGE for what cannot be decoded. */
  error?: McLossError
}

/** With the input of the last layer for the image itself, without its mirror image. */
export type Output = Answer & { embedding?: Float32Array }

export interface Outputs {
  classes: string[]
  batchSize: number
  /** Rows that are cut off the bottom of every picture. */
  cropBottom: number
  /** Calls that are full batches and in work beside the one that is computed. */
  ahead: number
  /** @throws McLossError E_NUMERICS for outputs that are not finite; E_ABORTED. */
  of(pictures: readonly Picture[], wish: Wish, signal?: AbortSignal): Promise<Output[]>
  /** After all that was asked. */
  close(): Promise<void>
}

interface Asked extends Wish {
  picture: Picture
}

interface Decoded {
  asked: Asked[]
  /** Positions in `asked` of the rows of `buffer`. */
  good: number[]
  errors: Map<number, unknown>
  buffer: Uint8Array
  isOver: (at: number) => boolean
}

/** @throws McLossError E_CHECKPOINT, E_WEIGHTS, E_CONFIG, E_DEVICE. */
export async function openOutputs(who: string, options: ModelOptions): Promise<Outputs> {
  const model = await openModel(options)
  const { data, optim } = model.config
  const { batchSize } = optim
  const cropBottom = cutOf(who, model)
  const size = heightWidth(data.resize)
  const decoding = gate(data.decoders)
  const staging: Uint8Array[] = []

  async function prepare(asked: Asked[], isOver: Decoded['isOver']): Promise<Decoded> {
    const buffer = staging.pop() ?? new Uint8Array(batchSize * size[0] * size[1] * 3)
    const errors: Decoded['errors'] = new Map()
    const report = (row: number, error: unknown) => errors.set(row, error)
    const pictures = asked.map(({ picture }) => ({ ...picture, cropBottom }))
    const good = await decodeRows(pictures, { size, buffer, decoding, isOver, report })
    return { asked, good, errors, buffer, isOver }
  }

  async function compute(decoded: Decoded): Promise<Outcome<Output>[]> {
    try {
      return await outcomesOf(decoded, model, options.flip ?? false)
    } finally {
      staging.push(decoded.buffer)
    }
  }

  const { submit, idle } = batching(batchSize, data.prefetch, { prepare, compute })
  return {
    classes: model.classes,
    batchSize,
    cropBottom,
    ahead: data.prefetch,
    of: (pictures, wish, signal) =>
      submit(
        pictures.map((picture) => ({ ...wish, picture })),
        { signal, aborted: () => stopped(wish.who) },
      ),
    async close() {
      await idle()
      try {
        await tellNative(model)
      } finally {
        await model.trainer.dispose()
      }
    },
  }
}

async function outcomesOf(
  { asked, good, errors, buffer, isOver }: Decoded,
  model: Model,
  flip: boolean,
): Promise<Outcome<Output>[]> {
  const outcomes: Outcome<Output>[] = asked.map((_, at) => {
    const error = errors.get(at)
    const isBad = error instanceof McLossError && error.code === 'E_IMAGE'
    return isBad ? { value: { top: [], error } } : { error }
  })
  if (good.every(isOver)) return outcomes
  const { trainer } = model
  const batch = batchOf(buffer, good.length, model.config.data)
  const wishes = good.map((at) => asked[at] as Asked)
  const embedded = wishes.some(({ embedding }) => embedding)
    ? await trainer.embed(batch)
    : undefined
  const mirrored = flip && wishes.some(({ top }) => top > 0)
  const pictures = await viewsOf(trainer, batch, mirrored, embedded?.logits)
  for (const [row, views] of pictures.entries()) {
    const { who, top, embedding } = wishes[row] as Asked
    const value: Output = { top: top > 0 ? topClasses(views, model.classes, top) : [] }
    // A copy: a row of the batch's memory would hold all of it.
    if (embedding && embedded) value.embedding = rowOf(embedded.embedding, batch.count, row).slice()
    const isUsable = views.every((logits) => logits.every(Number.isFinite))
    outcomes[good[row] as number] = isUsable ? { value } : { error: notFinite(who, model) }
  }
  return outcomes
}

/** Pictures as they are evaluated, from their pixels one after another. */
export function batchOf(
  buffer: Uint8Array,
  count: number,
  data: Model['config']['data'],
): NativeBatch & PixelSource {
  const [height, width] = heightWidth(data.resize)
  return {
    pixels: buffer.subarray(0, count * height * width * 3),
    ...{ count, height, width },
    windows: testWindows(count, data),
  }
}

function topClasses(views: Views, classes: string[], top: number): Answer['top'] {
  const probabilities = probabilitiesOf(views)
  return ranked(probabilities)
    .slice(0, top)
    .map((label) => ({
      class: classes[label] as string,
      label,
      probability: probabilities[label] as number,
    }))
}

function stopped(who: string): McLossError {
  return new McLossError('E_ABORTED', `${who}: stopped by its AbortSignal.`)
}
