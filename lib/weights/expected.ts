// What a fetched file has to be: its size and the start of its SHA-256; and the words for what came
// in its place.

import { standIn } from './detect.js'
import type { Digest } from './digest.js'

const ROUNDED = 0.01 // MiB

/** null: not known. */
export interface Expected {
  /** The first 8 digits at least. */
  sha256: string | null
  /** Published sizes are rounded. */
  mebibytes: number | null
}

export function isExpectedSize({ mebibytes }: Expected, bytes: number): boolean {
  return mebibytes === null || Math.abs(bytes / 2 ** 20 - mebibytes) < ROUNDED
}

/** No file that is longer can be it. */
export const largest = ({ mebibytes }: Expected) =>
  mebibytes === null ? Number.POSITIVE_INFINITY : (mebibytes + ROUNDED) * 2 ** 20

/** Why the bytes are not the file; undefined: they are. */
export function problemOf(expected: Expected, { bytes, sha256, head }: Digest): string | undefined {
  if (isExpectedSize(expected, bytes) && sha256.startsWith(expected.sha256 ?? '')) return undefined
  const other = standIn(head)
  if (other) return `it is ${other.what}`
  return isExpectedSize(expected, bytes)
    ? `expected a SHA-256 of ${expected.sha256}, received ${sha256}`
    : `expected ${expected.mebibytes} MiB, received ${bytes} bytes`
}
