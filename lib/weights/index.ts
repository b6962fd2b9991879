// Weights in files. Their formats are read here; native gets an open file and where its tensors lie.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { McLossError } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { metadataText, readSafetensors, type SafetensorsHeader } from './safetensors.js'
import type { OpenWeights } from './table.js'

/** What the add-on's trainer has for files. */
export interface TensorFiles {
  /** metadata: the text of a safetensors header's __metadata__; '' for none. */
  saveFiles(dir: string, metadata: string): Promise<void>
  loadFiles(files: { model: OpenWeights; optimizer: OpenWeights }): Promise<void>
  loadFile(file: OpenWeights, options: { backboneOnly: boolean }): Promise<void>
}

/** What a trainer has for its users. */
export interface WeightFiles {
  /** Writes model.safetensors and optimizer.safetensors into an existing folder. */
  save(dir: string, metadata: Record<string, string>): Promise<void>
  /** Reads both back. */
  load(dir: string): Promise<void>
  /** Weights alone, from a .safetensors file. */
  loadWeights(path: string, options: { backboneOnly: boolean }): Promise<void>
}

export function weightFiles(trainer: TensorFiles): WeightFiles {
  return {
    save: async (dir, metadata) => trainer.saveFiles(dir, metadataText(metadata)),
    load: (dir) =>
      withWeights(join(dir, 'model.safetensors'), (model) =>
        withWeights(join(dir, 'optimizer.safetensors'), (optimizer) =>
          trainer.loadFiles({ model, optimizer }),
        ),
      ),
    loadWeights: (path, options) => withWeights(path, (file) => trainer.loadFile(file, options)),
  }
}

/**
 * What a .safetensors file says about itself.
 *
 * @throws McLossError E_IO when it cannot be read, E_WEIGHTS when it is not valid.
 */
export function readWeightMetadata(path: string): Promise<Record<string, string>> {
  return withWeights(path, async ({ metadata }) => metadata)
}

async function withWeights<T>(
  path: string,
  use: (weights: OpenWeights & SafetensorsHeader) => Promise<T>,
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
    const header = await readSafetensors(file, path, status.size)
    return await use({ fd: file.fd, path, format: 'safetensors', ...header })
  } finally {
    await file.close()
  }
}
