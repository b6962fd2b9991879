// An image file as bytes: it is read once, and what cannot be an image here is refused before it is
// decoded.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { systemFault, systemReason } from '../files/system-errors.js'

export const MAX_PIXELS = 50_000_000
const MAX_BYTES = 512 * 2 ** 20

/** Size and content come from one open file, and a pipe that nobody writes to is not waited for. */
export async function readImage(path: string): Promise<Buffer> {
  const unreadable = (cause: unknown) => {
    const reason = new Error(`cannot be read: ${systemFault(cause)}`, { cause })
    const next = systemReason(cause, 'Restore the file, or take it out of the data set.')
    throw new McLossError('E_IMAGE', `images: ${path} cannot be read: ${next}`, { cause: reason })
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(unreadable)
  try {
    const info = await file.stat().catch(unreadable)
    if (!info.isFile()) throw unusable(path, info.isDirectory() ? 'is a folder' : 'is not a file')
    requireSize(path, info.size)
    const bytes = Buffer.allocUnsafe(info.size)
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, at).catch(unreadable)
      if (bytesRead === 0) throw unusable(path, 'was cut short while it was read')
      at += bytesRead
    }
    requireFormat(path, bytes)
    return bytes
  } finally {
    await file.close()
  }
}

export function unusable(
  path: string,
  what: string,
  cause?: unknown,
  maxPixels = MAX_PIXELS,
): McLossError {
  return new McLossError(
    'E_IMAGE',
    `images: expected a complete JPEG, PNG or WebP file of at most ${maxPixels / 1e6} megapixels, ` +
      `but ${path} ${what}. Replace the file, or take it out of the data set.`,
    { cause: new Error(what, { cause }) },
  )
}

export function requireSize(path: string, bytes: number): void {
  if (bytes === 0) throw unusable(path, 'is empty')
  if (bytes > MAX_BYTES) throw unusable(path, `has more than ${MAX_BYTES} bytes`)
}

export function requireFormat(path: string, bytes: Buffer): void {
  const start = bytes.toString('latin1', 0, 12)
  const isKnown =
    start.startsWith('\xff\xd8\xff') ||
    start.startsWith('\x89PNG\r\n\x1a\n') ||
    (start.startsWith('RIFF') && start.endsWith('WEBP'))
  if (!isKnown) throw unusable(path, 'is of another format')
}
