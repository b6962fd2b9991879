// The run folders below a folder. Links are not followed.

import { lstat, readdir } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'

/** A comparison keeps its runs three folders down. */
const DEPTH = 4
const FILES = ['metrics.jsonl', 'config.json']

export interface Found {
  /** Absolute. */
  dir: string
  /** Its path below the folder. */
  name: string
  /** When it was last written to, ms. */
  changed: number
}

/** The `limit` that were written to last, in the order of their names; and how many there are. */
export async function findRuns(
  root: string,
  limit: number,
): Promise<{ runs: Found[]; all: number }> {
  const found: Found[] = []
  await look(resolve(root), DEPTH)
  const newest = found.sort((a, b) => b.changed - a.changed).slice(0, limit)
  return { runs: newest.sort((a, b) => (a.name < b.name ? -1 : 1)), all: found.length }

  async function look(dir: string, depth: number): Promise<void> {
    const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
    const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name)
    const [file] = FILES.filter((name) => files.includes(name))
    // A folder with a configuration alone may be anything, unless its run has not begun to write.
    if (file === 'metrics.jsonl' || (file && files.includes('claim.json'))) {
      const changed = (await lstat(join(dir, file)).catch(() => undefined))?.mtimeMs ?? 0
      found.push({ dir, name: relative(root, dir) || dir, changed })
      return
    }
    if (depth === 0) return
    for (const entry of entries) {
      if (entry.isDirectory() && !entry.name.startsWith('.')) {
        await look(join(dir, entry.name), depth - 1)
      }
    }
  }
}
