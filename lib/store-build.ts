// Building a store file: decodes every image of a split once, into NAME.part, and renames it when it
// is whole. Whoever starts again, after a kill or beside another process that builds the same, keeps
// each image that is there with its hash. Every writer writes the same bytes to the same place, so
// there is no lock.

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { BadImages } from './bad-images.js'
import type { Sample } from './batch.js'
import { McLossError } from './errors.js'
import { decodeTo } from './images.js'
import {
  HASH_BYTES,
  hashOf,
  headerBytes,
  isBad,
  isMissing,
  readHashes,
  readHeader,
  readStore,
  type StoreHeader,
  sha256,
  storeLayout,
} from './store-format.js'

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
  const header: StoreHeader = {
    format: 'mcloss-store-1',
    key,
    count: samples.length,
    height,
    width,
  }
  const part = partOf(path, key)
  try {
    await mkdir(dirname(path), { recursive: true })
    const file = await openPart(part)
    try {
      await file.truncate(storeLayout(header).fileBytes)
      await decodeAll(file, options, header)
      await file.write(headerBytes(header), 0, undefined, 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path).catch(async (error) => {
      const other = await readStore(path, key) // finished by another process meanwhile
      if (other.is !== 'whole') throw error
    })
  } catch (cause) {
    if (cause instanceof McLossError) throw cause
    throw notWritten(path, cause as NodeJS.ErrnoException)
  }
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
  const { imageBytes, imageAt, hashAt } = storeLayout(header)
  const before = await readHashes(file, header)
  // Processes that build the same begin at different images and so share the work.
  const first = (process.pid * 7919) % count
  let [taken, done, failed] = [0, 0, false]

  const isThere = async (index: number, buffer: Uint8Array) => {
    const hash = Buffer.from(hashOf(before, index))
    if (isMissing(hash)) await file.read(hash, 0, HASH_BYTES, hashAt(index))
    if (isMissing(hash) || isBad(hash)) return false
    await file.read(buffer, 0, imageBytes, imageAt(index))
    return hash.equals(await sha256(buffer))
  }
  const decode = async (index: number, buffer: Uint8Array) => {
    try {
      await decodeTo(samples[index] as Sample, size, buffer)
    } catch (error) {
      badImages.report(index, error) // throws unless it may be left out
      await file.write(Buffer.alloc(HASH_BYTES, 0xff), 0, HASH_BYTES, hashAt(index))
      return
    }
    await file.write(buffer, 0, imageBytes, imageAt(index))
    await file.write(await sha256(buffer), 0, HASH_BYTES, hashAt(index))
  }
  const work = async () => {
    const buffer = new Uint8Array(imageBytes)
    while (taken < count && !failed) {
      if (signal?.aborted) throw stopped(options.path)
      const index = (first + taken++) % count
      if (!(await isThere(index, buffer))) await decode(index, buffer)
      onProgress?.(++done)
    }
  }
  const hands = Array.from({ length: decoders }, () =>
    work().catch((error) => {
      failed = true
      throw error
    }),
  )
  // Nothing goes on behind an error.
  const errors = (await Promise.allSettled(hands)).filter(({ status }) => status === 'rejected')
  if (errors[0]) throw (errors[0] as PromiseRejectedResult).reason
}

/** Reads every image of a finished store against its hash; returns the rows that differ. */
export async function wrongRows(path: string, signal?: AbortSignal): Promise<number[]> {
  const file = await open(path)
  try {
    const header = (await readHeader(file)) as StoreHeader
    const hashes = await readHashes(file, header)
    const { imageBytes, imageAt } = storeLayout(header)
    const buffer = new Uint8Array(imageBytes)
    const wrong: number[] = []
    for (let index = 0; index < header.count; index++) {
      if (signal?.aborted) throw stopped(path)
      const hash = hashOf(hashes, index)
      if (isBad(hash)) continue
      await file.read(buffer, 0, imageBytes, imageAt(index))
      if (!hash.equals(await sha256(buffer))) wrong.push(index)
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
      'start. Free some space, set data.storeDir to another disk, or data.store to off.',
    { cause },
  )
}
