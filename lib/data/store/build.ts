// Building a store file: decodes every image of a split once, into NAME.part, and renames it when it
// is whole. Whoever starts again, after a kill or beside another process that builds the same, keeps
// each image that is there with its checksum. Every writer writes the same bytes to the same place, so
// there is no lock.

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { McLossError } from '../../errors.js'
import { writeAdviceFor } from '../../system-error.js'
import type { BadImages } from '../bad-images.js'
import type { Sample } from '../batch.js'
import { decodeTo } from '../images.js'
import { forEachOf } from '../pool.js'
import {
  bootId,
  headerBytes,
  isBad,
  MARK_BYTES,
  markAt,
  markOf,
  readHeader,
  readMarks,
  readStore,
  type StoreHeader,
  storeLayout,
} from './format.js'

export interface BuildOptions {
  /** Of the finished file. */
  path: string
  key: string
  samples: readonly Sample[]
  /** [height, width], pixels. */
  size: readonly [number, number]
  /** Images decoded at the same time. */
  decoders: number
  badImages: BadImages
  signal?: AbortSignal | undefined
  onProgress?: ((done: number) => void) | undefined
}

/**
 * @throws McLossError E_IMAGE as badImages says, E_ABORTED (what is decoded is kept), E_IO when the
 * file cannot be written.
 */
export async function buildStore(options: BuildOptions): Promise<void> {
  const { path, key, samples, size } = options
  const [height, width] = size
  const boot = await bootId()
  const count = samples.length
  const header: StoreHeader = { format: 'mcloss-store-1', key, count, height, width, boot }
  const part = partOf(path, key)
  try {
    await mkdir(dirname(path), { recursive: true })
    const file = await openPart(part)
    try {
      await file.truncate(storeLayout(header).fileBytes)
      await decodeAll(file, options, header)
      await file.write(headerBytes(header), 0, undefined, 0)
      await rename(part, path).catch(async (error) => {
        const other = await readStore(path, key) // finished by another process meanwhile
        if (other.is !== 'whole') throw error
      })
    } catch (error) {
      await file.close()
      throw error
    }
    flush(file, header) // training begins meanwhile
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    throw notWritten(path, cause as NodeJS.ErrnoException)
  }
}

/**
 * Brings a store to the disk, then says so in it. Where this fails or is cut off, the header goes on
 * naming the boot, and in another boot the store is checked before it is used.
 */
async function flush(file: FileHandle, header: StoreHeader): Promise<void> {
  try {
    await file.sync()
    await file.write(headerBytes({ ...header, boot: '' }), 0, undefined, 0)
    await file.sync()
  } catch {
  } finally {
    await file.close().catch(() => {}) // nobody waits for this function to hear of it
  }
}

/** Whether a store from before the machine stopped is right after all. */
export async function recheck(
  path: string,
  header: StoreHeader,
  signal?: AbortSignal,
): Promise<boolean> {
  if ((await wrongRows(path, signal)).length > 0) return false
  await flush(await open(path, 'r+'), header)
  return true
}

/** Bytes of disk that building a store still takes; what an unfinished one has is not taken again. */
export async function bytesToBuild(
  path: string,
  key: string,
  layout: { count: number; height: number; width: number },
): Promise<number> {
  const part = await stat(partOf(path, key)).catch(() => undefined)
  return Math.max(0, storeLayout(layout).fileBytes - (part?.blocks ?? 0) * 512)
}

/** Free bytes where `folder` is or will be. */
export async function freeDisk(folder: string): Promise<number> {
  const info = await statfs(folder).catch(() => undefined)
  if (info) return info.bavail * info.bsize
  return dirname(folder) === folder ? 0 : freeDisk(dirname(folder))
}

/** The key in the name: an unfinished store of other files is another file. */
const partOf = (path: string, key: string) => `${path}.${key.slice(0, 32)}.part`

/** To read and write, made where it is not there, never emptied. */
function openPart(part: string): Promise<FileHandle> {
  return open(part, constants.O_RDWR | constants.O_CREAT)
}

async function decodeAll(
  file: FileHandle,
  options: BuildOptions,
  header: StoreHeader,
): Promise<void> {
  const { samples, size, decoders, badImages, signal, onProgress } = options
  const { count } = header
  const layout = storeLayout(header)
  const before = await readMarks(file, header)
  // Processes that build the same begin at different images and so share the work.
  const first = (process.pid * 7919) % count
  const indices = Array.from({ length: count }, (_, at) => (first + at) % count)
  const buffers: Uint8Array[] = [] // that nothing is decoded into at the moment
  let done = 0

  const isThere = async (index: number, buffer: Uint8Array) => {
    const mark = Buffer.from(markAt(before, index))
    if (mark.every((byte) => byte === 0)) {
      await file.read(mark, 0, MARK_BYTES, layout.markAt(index))
      if (mark.every((byte) => byte === 0)) return false
    }
    await file.read(buffer, 0, layout.imageBytes, layout.imageAt(index))
    return mark.equals(markOf(buffer))
  }
  const decode = async (index: number, buffer: Uint8Array) => {
    let mark: Buffer
    try {
      await decodeTo(samples[index] as Sample, size, buffer)
      mark = markOf(buffer)
      await file.write(buffer, 0, layout.imageBytes, layout.imageAt(index))
    } catch (error) {
      badImages.report(index, error) // throws unless it may be left out
      mark = markOf('bad')
    }
    await file.write(mark, 0, MARK_BYTES, layout.markAt(index))
  }
  const isWhole = await forEachOf(indices, decoders, signal, async (index) => {
    const buffer = buffers.pop() ?? new Uint8Array(layout.imageBytes)
    if (!(await isThere(index, buffer))) await decode(index, buffer)
    buffers.push(buffer)
    onProgress?.(++done)
  })
  if (!isWhole) throw stopped(options.path)
}

/** Reads every image of a finished store against its checksum; returns the rows that differ. */
export async function wrongRows(path: string, signal?: AbortSignal): Promise<number[]> {
  const file = await open(path)
  try {
    const header = (await readHeader(file)) as StoreHeader
    const marks = await readMarks(file, header)
    const { imageBytes, imageAt } = storeLayout(header)
    const buffer = new Uint8Array(imageBytes)
    const wrong: number[] = []
    for (let index = 0; index < header.count; index++) {
      if (signal?.aborted) throw stopped(path)
      const mark = markAt(marks, index)
      if (isBad(mark)) continue
      await file.read(buffer, 0, imageBytes, imageAt(index))
      if (!mark.equals(markOf(buffer))) wrong.push(index)
    }
    return wrong
  } finally {
    await file.close()
  }
}

function stopped(path: string): McLossError {
  return new McLossError(
    'E_ABORTED',
    `store: stopped; what is decoded of ${path} is kept for the next start.`,
  )
}

function notWritten(path: string, cause: NodeJS.ErrnoException): McLossError {
  return new McLossError(
    'E_IO',
    `store: ${path} could not be written: ${cause.message}. What is decoded is kept for the next ` +
      `start. ${writeAdviceFor(cause)}, set data.storeDir to another disk, or data.store to off.`,
    { cause },
  )
}
