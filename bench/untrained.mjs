// A model file as a run writes it, of a network that is not trained.

import { join } from 'node:path'
import { defineConfig, Trainer } from '../dist/index.js'

/** @returns {Promise<string>} the path of dir/model.safetensors */
export async function untrainedModel(config, classes, dir) {
  const trainer = await Trainer.create(defineConfig(config), classes)
  const names = Array.from({ length: classes }, (_, label) => `class ${label}`)
  await trainer.save(dir, {
    ...{ format: 'mcloss', preprocessing: '{"cropBottom":0}' },
    ...{ config: JSON.stringify(config), classes: JSON.stringify(names) },
  })
  await trainer.dispose()
  return join(dir, 'model.safetensors')
}
