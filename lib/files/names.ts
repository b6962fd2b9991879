// Names of files as the disk has them: bytes. Node gives them as text and puts U+FFFD in place of what
// is not UTF-8, which then names no file; so where a name matters it is read as bytes.

import { isUtf8 } from 'node:buffer'
import { realpath } from 'node:fs/promises'

/** A name's text; bytes that are not UTF-8 as \xNN. */
export function shownName(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  const shown = Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`,
  )
  return shown.join('')
}

/** What is wrong with a name that is not UTF-8, and what to do. `shown`: as shownName. */
export function notUtf8(shown: string): string {
  return (
    `the name ${shown} is not UTF-8 (each \\xNN is a byte of it). Rename it; convmv renames whole ` +
    'trees'
  )
}

/** The real path. @throws what realpath does, and an Error for a path that is not UTF-8. */
export async function realPath(path: string): Promise<string> {
  const bytes = await realpath(path, { encoding: 'buffer' })
  if (!isUtf8(bytes)) throw new Error(notUtf8(shownName(bytes)))
  return bytes.toString()
}
