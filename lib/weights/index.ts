// Weights in files. Their formats are read here; native gets an open file and where its tensors lie.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { refuseForeignNames } from './names.js'
import { explained, type ReadOptions, readWeights, type Weights, withFile } from './read.js'
import { metadataText, readSafetensors, type SafetensorsHeader } from './safetensors.js'
import type { OpenWeights } from './table.js'

/** What the add-on's trainer has for files. */
export interface TensorFiles {
  /** metadata: the text of a safetensors header's __metadata__; '' for none. */
  saveFiles(dir: string, metadata: string): Promise<void>
  loadFiles(
    files: Record<'model' | 'optimizer', OpenWeights> & { ema?: OpenWeights },
  ): Promise<void>
  loadFile(
    file: OpenWeights,
    options: { part: WeightsPart; partial: boolean; finite: boolean },
  ): Promise<TakenTensors>
}

export type WeightsPart = 'backbone' | 'all'

/** Names of tensors; a num_batches_tracked that the file lacks is in none, it counts from 0. */
export interface TakenTensors {
  taken: string[]
  /** In the file, but not in the model, or of another shape, or not of the part that was asked for. */
  leftOut: string[]
  /** In the model, which keeps what it had; as leftOut. */
  initialised: string[]
}

export interface LoadOptions extends ReadOptions {
  /** The head stays as it is, and the file's own is left out. */
  backboneOnly: boolean
  /** Leaves out what does not fit, if anything fits; default: that is E_WEIGHTS. */
  partial?: boolean
  /** Takes NaN and infinity too, of a model that is looked at; default: they are E_WEIGHTS. */
  anyValues?: boolean
}

export type LoadedWeights = TakenTensors &
  Pick<Weights, 'format' | 'wrapper' | 'prefix' | 'changes'>

/** What a trainer has for its users. */
export interface WeightFiles {
  /**
   * Writes model.safetensors, optimizer.safetensors and, with optim.ema, ema.safetensors into an existing
   * folder.
   */
  save(dir: string, metadata: Record<string, string>): Promise<void>
  /** Reads them back. */
  load(dir: string): Promise<void>
  /** Weights alone, from a file of any format that is read. A refused file changes nothing. */
  loadWeights(path: string, options: LoadOptions): Promise<LoadedWeights>
}

export function weightFiles(trainer: TensorFiles): WeightFiles {
  return {
    save: async (dir, metadata) => trainer.saveFiles(dir, metadataText(metadata)),
    load: (dir) =>
      withWeights(join(dir, 'model.safetensors'), (model) =>
        withWeights(join(dir, 'optimizer.safetensors'), (optimizer) => {
          const ema = join(dir, 'ema.safetensors')
          if (!existsSync(ema)) return trainer.loadFiles({ model, optimizer })
          return withWeights(ema, (ema) => trainer.loadFiles({ model, optimizer, ema }))
        }),
      ),
    loadWeights: (path, { backboneOnly, partial = false, anyValues = false, ...options }) =>
      readWeights(path, options, async (file) => {
        await explained(path, async () => refuseForeignNames(file.tensors))
        const part = backboneOnly ? 'backbone' : 'all'
        const names = await trainer.loadFile(file, { part, partial, finite: !anyValues })
        const { format, wrapper, prefix, changes } = file
        return { format, wrapper, prefix, changes, ...names }
      }),
  }
}

/**
 * What a .safetensors file says about itself; nothing for weights of torch.
 *
 * @throws McLossError E_IO when it cannot be read, E_WEIGHTS when it is no valid file of weights.
 */
export function readWeightMetadata(path: string): Promise<Record<string, string>> {
  return readWeights(path, {}, async ({ metadata }) => metadata)
}

/** Our own files, whose names are taken as they are. */
function withWeights<T>(
  path: string,
  use: (weights: OpenWeights & SafetensorsHeader) => Promise<T>,
): Promise<T> {
  return withFile(path, async (file, size) =>
    use({ fd: file.fd, path, format: 'safetensors', ...(await readSafetensors(file, path, size)) }),
  )
}
