// Text files whose lines are '<id> <rest>' with a unique positive integer id, as CUB-200-2011 uses.

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { McLossError } from '../errors.js'

const MAX_BYTES = 64 * 2 ** 20 // the longest official list has about 1 MB

export interface Line {
  file: string
  /** From 1. */
  number: number
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
export async function readNumbered(folder: string, name: string): Promise<NumberedList> {
  const file = join(folder, name)
  const text = await readText(file)
  const lines = new Map<number, Line>()
  for (const [index, content] of text.split('\n').entries()) {
    const trimmed = content.trim()
    if (trimmed === '') continue
    const [, digits, rest] = /^(\d{1,9}) +(.+)$/.exec(trimmed) ?? []
    const line: Line = { file, number: index + 1, id: Number(digits), rest: rest ?? trimmed }
    if (digits === undefined || line.id === 0)
      throw lineError(line, 'a positive id, a space and a value')
    const earlier = lines.get(line.id)
    if (earlier) throw lineError(line, `an id that line ${earlier.number} has not used`, digits)
    lines.set(line.id, line)
  }
  if (lines.size === 0) throw new McLossError('E_DATA', `datasets: the list ${file} is empty.`)
  return { file, lines }
}

async function readText(file: string): Promise<string> {
  const info = await stat(file).catch((cause) => {
    throw new McLossError(
      'E_DATA',
      `datasets: the list ${file} cannot be read (${cause.code}). Unpack the data set again.`,
    )
  })
  if (!info.isFile() || info.size > MAX_BYTES) {
    throw new McLossError(
      'E_DATA',
      `datasets: expected ${file} to be a text file of at most ${MAX_BYTES} bytes.`,
    )
  }
  return readFile(file, 'utf8')
}

/** @throws McLossError E_DATA naming the line of an id that only one of the lists has. */
export function requireSameIds(a: NumberedList, b: NumberedList): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const line of from.lines.values()) {
      if (!to.lines.has(line.id))
        throw lineError(line, `an id that ${to.file} has too`, String(line.id))
    }
  }
}

export function lineError(line: Line, expected: string, received = line.rest): McLossError {
  return new McLossError(
    'E_DATA',
    `datasets: ${line.file} line ${line.number}: expected ${expected} but received ` +
      `'${received.slice(0, 200)}'. Correct the list, or unpack the data set again.`,
  )
}
