// One door to every file of weights: told by its first bytes, read by its format's reader, its names
// made torchvision's. The file is opened once, and only its header is read here.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { detect, HEAD_BYTES } from './detect.js'
import { FileBytes } from './file-bytes.js'
import { torchvisionNames } from './names.js'
import { OtherKind, Refusal } from './refusal.js'
import { readSafetensors } from './safetensors.js'
import { stateDictOf } from './state-dict.js'
import type { OpenWeights, WeightFormat } from './table.js'
import { readTorchLegacy } from './torch-legacy.js'
import { readTorchZip } from './torch-zip.js'

/** A file of weights while it is open: names without wrapper and prefix, as torchvision has them. */
export interface Weights extends OpenWeights {
  format: WeightFormat
  /** Of the file, bytes. */
  size: number
  /** The key under which a checkpoint has the weights: 'state_dict', ...; null: the file is them. */
  wrapper: string | null
  /** What every name began with: 'module.', 'module.model.', ...; null: nothing. */
  prefix: string | null
  /** Whether the bytes of every tensor were held against a checksum of the file's. */
  crc: 'checked' | 'not checked'
  /** The __metadata__ of a safetensors file; else empty. */
  metadata: Record<string, string>
  /** What was done to the names and shapes, and what will be to the values: a sentence each. */
  changes: string[]
  /** Storages in the file that nothing in it refers to. */
  unused: number
}

export interface ReadOptions {
  /** Of a checkpoint with several sets of weights: under which key to look. */
  key?: string | undefined
}

/**
 * Gives `use` the table of a file's tensors, with the file open; it is closed when `use` has settled.
 *
 * @throws McLossError E_IO when it cannot be read, E_WEIGHTS saying what it is instead or what is wrong.
 */
export async function readWeights<T>(
  path: string,
  options: ReadOptions,
  use: (weights: Weights) => Promise<T>,
): Promise<T> {
  return withFile(path, async (file, size) => {
    const weights = await explained(path, () => readTable(file, path, size, options.key))
    return use({ fd: file.fd, path, size, ...weights })
  })
}

type Table = Omit<Weights, 'fd' | 'path' | 'size'>

async function readTable(
  file: FileHandle,
  path: string,
  size: number,
  key: string | undefined,
): Promise<Table> {
  const bytes = new FileBytes(file, size)
  const format = detect(await bytes.read(0, Math.min(size, HEAD_BYTES)), size, path)
  if (format === 'safetensors') {
    const { tensors, metadata } = await readSafetensors(file, path, size)
    if (key !== undefined) {
      throw new OtherKind('a safetensors file, which has one set of weights', 'Leave out the key')
    }
    const named = torchvisionNames(tensors)
    return { format, wrapper: null, crc: 'not checked', metadata, unused: 0, ...named }
  }
  const torch = await (format === 'torch-zip' ? readTorchZip(bytes) : readTorchLegacy(bytes))
  const { wrapper, tensors, keys } = stateDictOf(torch, key)
  const named = torchvisionNames(tensors)
  const crc = await torch.check(keys)
  return { format, wrapper, crc, metadata: {}, unused: torch.unused, ...named }
}

/** Both ways of being no file of weights, with the file's name. */
export async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof Refusal) {
      const problem = `is not a valid file of torch.save: ${cause.message}`
      throw new McLossError('E_WEIGHTS', `${path} ${problem}. ${cause.advice}.`, { cause })
    }
    if (cause instanceof OtherKind) {
      throw new McLossError('E_WEIGHTS', `${path} is ${cause.what}. ${cause.advice}.`, { cause })
    }
    throw cause
  }
}

/** Opens a regular file, once: what is judged is what is read. */
export async function withFile<T>(
  path: string,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  // O_NONBLOCK: a pipe without a writer would hold up open() for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause) => {
    throw new McLossError('E_IO', `weights: cannot open ${path}: ${systemReason(cause)}`, { cause })
  })
  try {
    const status = await file.stat()
    if (!status.isFile()) {
      throw new McLossError('E_IO', `weights: cannot read ${path}: it is not a regular file`)
    }
    return await use(file, status.size)
  } finally {
    await file.close()
  }
}
