// How records are written: whole, or appended to; what the disk refuses is an E_IO that names the file.

import { appendFile } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { replaceFile } from '../files/replace.js'
import { systemReason } from '../files/system-errors.js'

/** In one step. @throws McLossError E_IO */
export function replaceRecord(path: string, bytes: string | Uint8Array): Promise<void> {
  return orNotWritten(path, () => replaceFile(path, bytes))
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
