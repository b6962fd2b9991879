// Text files with an entry a line, as CUB-200-2011 and FGVC-Aircraft use.

import { join } from 'node:path'
import { McLossError } from '../../../errors.js'
import { textOf } from '../../../files/text.js'
import { readInside } from './inside.js'
import { type Place, placeError } from './place.js'

const MAX_BYTES = 64 * 2 ** 20 // the longest official list has about 1 MB
export const MAX_LINES = 2 ** 20

export interface TextLine extends Place {
  /** Without the spaces around it. */
  text: string
}

/** @throws McLossError E_DATA as readInside and textOf. */
export async function readText(root: string, file: string): Promise<string> {
  const bytes = await readInside(root, file, MAX_BYTES)
  return textOf(bytes, { file, reader: 'datasets', code: 'E_DATA' })
}

/**
 * The lines of a list below `root` (a real path), empty ones left out.
 *
 * @throws McLossError E_DATA as readText, and for an empty list.
 */
export async function readLines(root: string, folder: string, name: string): Promise<TextLine[]> {
  const file = join(folder, name)
  const text = await readText(root, file)
  const lines: TextLine[] = []
  for (let start = 0, number = 1; start < text.length; number++) {
    const end = text.indexOf('\n', start)
    const content = text.slice(start, end < 0 ? undefined : end).trim()
    start = end < 0 ? text.length : end + 1
    if (content === '') continue
    const line = { file, at: `line ${number}`, text: content }
    if (lines.push(line) > MAX_LINES) throw placeError(line, `at most ${MAX_LINES} lines`, 'more')
  }
  if (lines.length === 0) throw new McLossError('E_DATA', `datasets: the list ${file} is empty.`)
  return lines
}

/** A whole number least..most. @throws McLossError E_DATA naming the place. */
export function integerOf(
  text: string,
  place: Place,
  least: number,
  most: number,
  what: string,
): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw placeError(place, `${what}, an integer ${least}..${most}`, text)
}
