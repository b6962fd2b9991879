// Reads a fixture of JSON lines, one case a line.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export function fixtureLines<T>(name: string): T[] {
  const text = readFileSync(join(import.meta.dirname, '../fixtures', name), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
}

/** Cases too large for every run (gigabytes, minutes) run with MCLOSS_SOAK=1 alone. */
export const soak = process.env.MCLOSS_SOAK === '1'
