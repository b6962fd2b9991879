// A file replaced in one step: whoever reads it finds all of the old or of the new.

import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Nothing stays of one that cannot be written. @throws what the disk says. */
export async function replaceFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const unfinished = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    await writeFile(unfinished, bytes)
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {}) // the first error counts
    throw error
  }
}
