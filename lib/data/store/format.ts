// A store file: the decoded images of one split, and how it is known to be theirs.
//
//   4,096 bytes          JSON (StoreHeader), spaces to the end
//   count * image bytes  u8 RGB [height, width, 3] an image, in the order of the samples
//   count * 8 bytes      a mark an image: its CRC-32, and 1, or 2 where the file could not be decoded;
//                        both uint32, little-endian
//
// While it is built it is called NAME.KEY.part, has no header, and the mark of an image that is not there
// yet is zero.

import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { McLossError } from '../../errors.js'
import { unlessMissing } from '../../files/system-errors.js'
import type { Sample } from '../batch.js'

export const HEADER_BYTES = 4096
export const MARK_BYTES = 8

export interface StoreHeader {
  format: 'mcloss-store-1'
  /** SHA-256 of the file list, sizes, times and decode settings (storeKey). */
  key: string
  count: number
  height: number
  width: number
  /** The boot in which it was written; empty once the disk has it all. */
  boot: string
}

/** The running system's: another one means that what was not on the disk is gone. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}

/** Where things are in a store of `count` images; bytes. */
export function storeLayout({
  count,
  height,
  width,
}: Pick<StoreHeader, 'count' | 'height' | 'width'>) {
  const imageBytes = height * width * 3
  const marksAt = HEADER_BYTES + count * imageBytes
  return {
    imageBytes,
    marksAt,
    fileBytes: marksAt + count * MARK_BYTES,
    imageAt: (index: number) => HEADER_BYTES + index * imageBytes,
    markAt: (index: number) => marksAt + index * MARK_BYTES,
  }
}

export function headerBytes(header: StoreHeader): Buffer {
  return Buffer.from(JSON.stringify(header).padEnd(HEADER_BYTES), 'utf8')
}

/** The header of an open store file, or undefined where there is none that can be read. */
export async function readHeader(file: FileHandle): Promise<StoreHeader | undefined> {
  const bytes = Buffer.alloc(HEADER_BYTES)
  const { bytesRead } = await file.read(bytes, 0, HEADER_BYTES, 0)
  if (bytesRead < HEADER_BYTES) return undefined
  try {
    const header = JSON.parse(bytes.toString('utf8')) as StoreHeader
    const sizes = [header.count, header.height, header.width]
    const sound = header.format === 'mcloss-store-1' && sizes.every((n) => n > 0 && n < 2 ** 31)
    return sound && sizes.every(Number.isInteger) ? header : undefined
  } catch {
    return undefined
  }
}

/** The marks of an open store file, [count * 8]. */
export async function readMarks(file: FileHandle, header: StoreHeader): Promise<Buffer> {
  const marks = Buffer.alloc(header.count * MARK_BYTES)
  await file.read(marks, 0, marks.length, storeLayout(header).marksAt)
  return marks
}

/** The mark of an image, or of one that could not be decoded. */
export function markOf(image: Uint8Array | 'bad'): Buffer {
  const mark = Buffer.alloc(MARK_BYTES)
  mark.writeUInt32LE(image === 'bad' ? 0 : crc32(image), 0)
  mark.writeUInt32LE(image === 'bad' ? 2 : 1, 4)
  return mark
}

const bad = markOf('bad')
export const isBad = (mark: Buffer) => mark.equals(bad)

export function markAt(marks: Buffer, index: number): Buffer {
  return marks.subarray(index * MARK_BYTES, (index + 1) * MARK_BYTES)
}

/** What decides a store's pixels: the same list has the same name, the same files the same key. */
export interface StoreIdentity {
  /** For the file's name, 16 hex digits: of the paths and the size. */
  name: string
  key: string
}

/**
 * `decoder` names the programs that decode and resize. Files that are not there count as such:
 * decoding says so.
 */
export async function storeIdentity(
  samples: readonly Sample[],
  size: readonly [number, number],
  decoder: string,
): Promise<StoreIdentity> {
  const lists = samples.map(({ path, cropBottom = 0 }) => JSON.stringify([path, cropBottom]))
  const states = await Promise.all(samples.map(({ path }) => fileState(path)))
  const hash = (lines: string[]) => createHash('sha256').update(lines.join('\n')).digest('hex')
  const name = hash([String(size), ...lists])
  return { name: name.slice(0, 16), key: hash([name, decoder, ...states]) }
}

async function fileState(path: string): Promise<string> {
  const info = await stat(path, { bigint: true }).catch(() => undefined)
  return info ? `${info.size} ${info.mtimeNs}` : 'missing'
}

/**
 * What is known of the file at `path`: nothing there, made of other files, whole, or not known to have
 * reached the disk before the machine stopped.
 */
export type StoreState =
  | { is: 'absent' }
  | { is: 'stale' }
  | { is: 'unflushed'; header: StoreHeader }
  | { is: 'whole'; header: StoreHeader; bad: ReadonlySet<number> }

/**
 * Looks at a finished store file without reading its pixels.
 *
 * @throws McLossError E_DATA for a file that is cut short or is no store, E_IO when it cannot be
 * read.
 */
export async function readStore(path: string, key: string): Promise<StoreState> {
  const file = await unlessMissing(open(path), 'E_IO', `store: ${path} cannot be read`)
  if (file === undefined) return { is: 'absent' }
  try {
    const header = await readHeader(file)
    if (!header) throw damaged(path, 'is no finished store')
    const { fileBytes } = storeLayout(header)
    const { size } = await file.stat()
    if (size !== fileBytes) throw damaged(path, `has ${size} bytes instead of ${fileBytes}`)
    if (header.key !== key) return { is: 'stale' }
    if (header.boot !== '' && header.boot !== (await bootId())) return { is: 'unflushed', header }
    const marks = await readMarks(file, header)
    const bad = Array.from(Array(header.count).keys()).filter((i) => isBad(markAt(marks, i)))
    return { is: 'whole', header, bad: new Set(bad) }
  } finally {
    await file.close()
  }
}

export function damaged(path: string, what: string): McLossError {
  return new McLossError(
    'E_DATA',
    `store: expected ${path} to be a whole store of decoded images, but it ${what}. Delete it; the ` +
      'next run decodes the images anew.',
  )
}
