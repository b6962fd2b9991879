// A file of weights that a user asked for: never over another one, whole or not there.

import { existsSync } from 'node:fs'
import { McLossError, reasonOf } from '../errors.js'
import type { Digest } from './digest.js'
import { Part } from './part.js'

/** @throws McLossError E_IO that names `who`. */
export function refuseExisting(who: string, out: string): void {
  if (!existsSync(out)) return
  throw new McLossError(
    'E_IO',
    `${who}: ${out} is there already. It is left as it is: move it away, or give another name.`,
  )
}

/**
 * What `write` appends becomes the file when all of it is there.
 *
 * @throws McLossError what `write` throws; E_IO that names `who`.
 */
export async function writeNew(
  who: string,
  out: string,
  write: (part: Part) => Promise<void>,
): Promise<Digest> {
  const failure = (cause: unknown) =>
    cause instanceof McLossError
      ? cause
      : new McLossError('E_IO', `${who}: ${out} is not made: ${reasonOf(cause)}.`, { cause })
  const part = await Part.begin(out).catch((cause) => {
    throw failure(cause)
  })
  try {
    await write(part)
    const digest = part.digest()
    await part.finish()
    return digest
  } catch (cause) {
    await part.remove()
    throw failure(cause)
  }
}
