// How records are written: whole, or appended to; what the disk refuses is an E_IO that names the file.

import { appendFile, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'

/** Replaces the file in one step: whoever reads it finds all of the old or of the new. */
export async function replaceFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const unfinished = join(dirname(path), `.${basename(path)}.tmp`)
  await orNotWritten(path, async () => {
    await writeFile(unfinished, bytes)
    await rename(unfinished, path)
  })
}

export function appendTo(path: string, bytes: string | Uint8Array): Promise<void> {
  return orNotWritten(path, () => appendFile(path, bytes))
}

/** @throws McLossError E_IO */
export async function orNotWritten<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new McLossError(
      'E_IO',
      `records: ${path} cannot be written: ${systemReason(cause)} out, or report of an evaluation, can ` +
        'name another folder.',
      { cause },
    )
  }
}
