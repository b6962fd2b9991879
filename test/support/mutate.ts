// Seeded damage to bytes: mutant n of a base is the same in every run.

import { words } from './formula-weights.js'

export interface Mutant {
  bytes: Buffer
  /** Of the base: what was edited, first byte to the one after the last; Infinity after a shift. */
  edits: [from: number, to: number][]
}

/** What an edit puts into the bytes or over them: 32-bit words, pieces of text. */
type Pieces = readonly Uint8Array[]

/** One to three edits: bits flipped, pieces written over or put in, bytes taken out, the end cut off. */
export function mutate(name: string, base: Buffer, pieces: Pieces): Mutant {
  const [many = 0, ...rest] = words(name, 16)
  let bytes = Buffer.from(base)
  const edits: Mutant['edits'] = []
  for (let edit = 0; edit < 1 + Math.max(0, (many % 6) - 3); edit++) {
    const [kind = 0, place = 0, bit = 0, length = 0, piece = 0] = rest.slice(5 * edit)
    const at = place % (bytes.length + 1)
    const what = pieces[piece % pieces.length] as Uint8Array
    const before = bytes.subarray(0, at)
    if (kind % 8 < 3 && at < bytes.length) {
      bytes[at] = (bytes[at] as number) ^ (1 << (bit % 8))
      edits.push([at, at + 1])
    } else if (kind % 8 < 6 && at + what.length <= bytes.length) {
      bytes.set(what, at - (at % 4)) // lengths and types lie at multiples of four
      edits.push([at - (at % 4), at - (at % 4) + what.length])
    } else {
      const isAdded = kind % 8 === 6
      const skipped = isAdded ? 0 : length % 4 === 0 ? bytes.length : length % 9
      const after = bytes.subarray(at + skipped)
      bytes = Buffer.concat(isAdded ? [before, what, after] : [before, after])
      edits.push([at, Number.POSITIVE_INFINITY])
    }
  }
  return { bytes, edits }
}
