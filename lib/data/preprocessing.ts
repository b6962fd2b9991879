// What a reader does to the pictures of its samples beside the configuration. It goes into the model
// file, so that a picture that no reader has seen is treated alike.

import type { Dataset } from './batch.js'

export interface Preprocessing {
  /** Rows cut off the bottom of every picture; null: not the same of all samples. */
  cropBottom: number | null
}

export function preprocessingOf({ train, test }: Dataset): Preprocessing {
  const [cropBottom = 0, ...others] = new Set(
    [...train, ...test].map(({ cropBottom = 0 }) => cropBottom),
  )
  return { cropBottom: others.length > 0 ? null : cropBottom }
}

/** @throws Error for text that is not the JSON of a Preprocessing as this version knows it. */
export function parsePreprocessing(text: string): Preprocessing {
  const { cropBottom, ...unknown } = Object(JSON.parse(text))
  const isRows = Number.isInteger(cropBottom) && cropBottom >= 0
  if (Object.keys(unknown).length === 0 && (isRows || cropBottom === null)) return { cropBottom }
  throw new Error(`expected its preprocessing as {"cropBottom":20} but received ${text}`)
}
