// One door to every file of weights: told by its first bytes, read by its format's reader, its names
// made torchvision's. The file is opened once, and only its header is read here.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { readSafetensors } from './safetensors.js'
import type { OpenWeights } from './table.js'

export type WeightFormat = 'torch-zip' | 'torch-legacy' | 'safetensors'

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
  /** Records of the file that hold no tensor of it. */
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
  _options: ReadOptions,
  use: (weights: Weights) => Promise<T>,
): Promise<T> {
  return withFile(path, async (file, size) => {
    const header = await readSafetensors(file, path, size)
    return use({
      fd: file.fd,
      path,
      size,
      format: 'safetensors',
      wrapper: null,
      prefix: null,
      crc: 'not checked',
      changes: [],
      unused: 0,
      ...header,
    })
  })
}

/** Opens a regular file, once: what is judged is what is read. */
export async function withFile<T>(
  path: string,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T> {
  // O_NONBLOCK: a pipe without a writer would hold up open() for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause) => {
    throw new McLossError('E_IO', `weights: cannot open ${path}: ${cause.message}`, { cause })
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
