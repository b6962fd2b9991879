// What a user without a right meets, also where the tests are root's, whom no mode keeps out.

import { chmodSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

const NOBODY = 65_534

/** Runs `work` while `path` is closed to the user who runs it; the folders above stay open. */
export async function closed<T>(path: string, work: () => Promise<T>): Promise<T> {
  const temporary = process.env.TMPDIR as string
  for (let at = dirname(path); at !== dirname(temporary); at = dirname(at)) chmodSync(at, 0o755)
  const { mode } = statSync(path)
  chmodSync(path, 0)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    return await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(path, mode)
  }
}
