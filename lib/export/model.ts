// What a model file says of itself, as an export needs it.

import { type Config, type ConfigInput, defineConfig, nativeConfig } from '../config/index.js'
import { window } from '../data/augment.js'
import { readModelMetadata } from '../train/checkpoint.js'
import { emaFileOf, modelFileOf } from '../train/links.js'
import type { ModelConfig } from './layers.js'

export interface SavedModel {
  file: string
  classes: string[]
  config: Config
  model: ModelConfig
  mean: number[]
  std: number[]
  /** Rows cut off the bottom of every picture before all else; null: not the same of all, or unknown. */
  cropBottom: number | null
}

/** @throws McLossError E_CHECKPOINT or E_WEIGHTS where there is none. */
export async function savedModel(weights: string, ema: boolean): Promise<SavedModel> {
  const file = await (ema ? emaFileOf : modelFileOf)(weights)
  const { classes, preprocessing, ...metadata } = await readModelMetadata(file)
  // How many threads were the training machine's.
  const { threads: _, ...input } = metadata.config as ConfigInput
  const config = defineConfig(input)
  const { model, mean, std } = nativeConfig(config, classes.length)
  return { file, classes, config, model, mean, std, cropBottom: preprocessing?.cropBottom ?? null }
}

/** What must be done to a picture before it is the network's input, and what is done inside. */
export function preprocessingOf(
  { config, model, mean, std, cropBottom }: SavedModel,
  input: 'u8' | 'f32',
) {
  const { top, left } = window(0, 0, 0, config.data, 'test')
  const [height, width] = config.data.resize
  return {
    cropBottom,
    resize: { height, width, filter: 'bilinear, antialiased' },
    /** Black where it goes beyond the picture. */
    crop: { top, left, ...model.input },
    input,
    mean,
    std,
  }
}

/**
 * Which channels of the map belong to which class: of K classes and C channels the last C mod K have one
 * more than the others. Empty for a model that was not trained with the MC-Loss.
 */
export function groupsOf({ classes, config }: SavedModel, channels: number) {
  if (config.loss.name !== 'mc') return []
  const least = Math.floor(channels / classes.length)
  const wider = channels % classes.length
  let begin = 0
  return classes.map((_, index) => {
    const size = index < classes.length - wider ? least : least + 1
    const group = { class: index, begin, end: begin + size }
    begin = group.end
    return group
  })
}
