// What a reader does to the pictures of its samples beside the configuration. It goes into the model
// file, so that a picture that no reader has seen is treated alike.

import { z } from 'zod'
import type { Dataset } from './batch.js'
import { STRIP } from './datasets/fgvc-aircraft.js'

const schema = z.strictObject({
  /** Rows cut off the bottom of every picture; null: not the same of all samples. */
  cropBottom: z.int().min(0).nullable(),
})
export type Preprocessing = z.output<typeof schema>

export function preprocessingOf({ train, test }: Dataset): Preprocessing {
  const [cropBottom = 0, ...others] = new Set(
    [...train, ...test].map(({ cropBottom = 0 }) => cropBottom),
  )
  return { cropBottom: others.length > 0 ? null : cropBottom }
}

/** @throws Error for text that is not the JSON of a Preprocessing as this version knows it. */
export function parsePreprocessing(text: string): Preprocessing {
  const { data } = schema.safeParse(JSON.parse(text))
  if (data) return data
  throw new Error(`expected its preprocessing as {"cropBottom":20} but received ${text}`)
}

/**
 * Of a model file from before it was kept there, by its configuration's data; undefined where a
 * script gave the samples.
 */
export function preprocessingByName(data: {
  name?: string | undefined
  cropStrip?: boolean | undefined
}): Preprocessing | undefined {
  if (data.name === 'own') return undefined
  return { cropBottom: data.name === 'fgvc-aircraft' && data.cropStrip !== false ? STRIP : 0 }
}
