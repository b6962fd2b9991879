// A model file as a run writes it, without the run: initial weights that tell images apart.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ConfigInput, defineConfig } from '../../lib/config/index.js'
import { Trainer } from '../../lib/train/trainer.js'

export const CLASSES = ['wren', 'robin', 'jay', 'owl', 'kite']

/** The toy model on crops of 40 px of 48, one thread; batches of 4. */
export function smallConfig(model: Partial<ConfigInput['model']> = {}): ConfigInput {
  return {
    seed: 3,
    threads: 1,
    data: {
      name: 'image-folder',
      root: '/',
      resize: 48,
      crop: 40,
      mean: [0.5, 0.5, 0.5],
      std: [0.1, 0.1, 0.1],
    },
    model: { backbone: 'toy', head: 'two-layer', channelsPerClass: 4, ...model },
    loss: { name: 'cross-entropy' },
    optim: { lr: 1, epochs: 1, batchSize: 4 },
  } as ConfigInput
}

/** @returns the path of folder/model.safetensors. */
export async function writeModel(folder: string, config = smallConfig()): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const trainer = await Trainer.create(defineConfig(config), CLASSES.length)
  await trainer.save(folder, {
    format: 'mcloss',
    config: JSON.stringify(config),
    classes: JSON.stringify(CLASSES),
    preprocessing: '{"cropBottom":0}',
  })
  await trainer.dispose()
  return join(folder, 'model.safetensors')
}
