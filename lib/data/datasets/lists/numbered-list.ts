// Text files whose lines are '<id> <rest>' with a unique positive integer id, as CUB-200-2011 uses.

import { join } from 'node:path'
import { type Place, placeError } from './place.js'
import { readLines } from './text-list.js'

export interface Line extends Place {
  id: number
  /** What follows the id and one space. */
  rest: string
}

export interface NumberedList {
  file: string
  /** By id, in file order. */
  lines: Map<number, Line>
}

/** @throws McLossError E_DATA naming file and line for a missing file, a malformed or double line. */
export async function readNumbered(
  root: string,
  folder: string,
  name: string,
): Promise<NumberedList> {
  const lines = new Map<number, Line>()
  for (const { text, ...place } of await readLines(root, folder, name)) {
    const [, digits = '', rest = ''] = /^(\d{1,9}) +(.+)$/.exec(text) ?? []
    const id = Number(digits)
    if (id === 0) throw placeError(place, 'a positive id, a space and a value', text)
    const earlier = lines.get(id)
    if (earlier) throw placeError(place, `an id that ${earlier.at} has not used`, digits)
    lines.set(id, { ...place, id, rest })
  }
  return { file: join(folder, name), lines }
}

/** @throws McLossError E_DATA naming the line of an id that only one of the lists has. */
export function requireSameIds(a: NumberedList, b: NumberedList): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const line of from.lines.values()) {
      if (!to.lines.has(line.id)) throw placeError(line, `an id that ${to.file} has too`, line.id)
    }
  }
}
