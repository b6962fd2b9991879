// A model file opened for use: it describes itself (classes, preprocessing, configuration), so nothing
// else is needed.

import { z } from 'zod'
import { count, record, text } from '../arguments.js'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, type ConfigInput, defineConfig, nativeConfig } from '../config/index.js'
import { STRIP } from '../data/datasets/fgvc-aircraft.js'
import type { Preprocessing } from '../data/preprocessing.js'
import { McLossError } from '../errors.js'
import type { WarningEvent } from '../events.js'
import { readModelMetadata } from '../train/checkpoint.js'
import { emaFileOf, modelFileOf } from '../train/links.js'

export interface ModelOptions {
  /** A model.safetensors, a checkpoint folder, or a run folder (its best checkpoint). */
  weights: string
  /** The average of the weights (optim.ema) of that run or checkpoint: its ema.safetensors. Default false. */
  ema?: boolean
  device?: 'cpu' | 'cuda'
  /** Of the computation on a CPU. Default: the cores of this machine. */
  threads?: number
  /** Default: that of the training. */
  batchSize?: number
  /** The mean of the probabilities of each image and its mirror image; takes twice as long. */
  flip?: boolean
  onEvent?: ((event: WarningEvent) => void) | undefined
}

export const modelShape = record({
  weights: text,
  ema: z.boolean().optional(),
  device: z.enum(['cpu', 'cuda']).optional(),
  threads: count.optional(),
  batchSize: count.optional(),
  flip: z.boolean().optional(),
})

export interface Model {
  file: string
  config: Config
  classes: string[]
  /** Undefined: an earlier version's file that does not say. */
  preprocessing: Preprocessing | undefined
  trainer: NativeTrainer
  warn: (message: string) => void
}

/** `data`: keys that differ from the model's own. */
export async function openModel(
  options: ModelOptions,
  data?: Partial<ConfigInput['data']>,
): Promise<Model> {
  const file = await (options.ema ? emaFileOf : modelFileOf)(options.weights)
  const metadata = await readModelMetadata(file)
  // How many threads, which number format and how many micro-batches were the training machine's.
  const { threads: _, precision, ...input } = metadata.config as ConfigInput
  const { device = input.device, threads, batchSize } = options
  const config = defineConfig({
    ...input,
    device,
    ...(threads && { threads }),
    ...(device === input.device && { precision }),
    data: dataFor(input.data, data),
    optim: { ...input.optim, gradAccumSteps: 1, ...(batchSize && { batchSize }) },
  })
  const trainer = await native().NativeTrainer.create(nativeConfig(config, metadata.classes.length))
  try {
    await trainer.loadWeights(file, { backboneOnly: false, anyValues: true })
  } catch (error) {
    await trainer.dispose()
    throw error
  }
  const { classes, preprocessing = earlierPreprocessing(input.data) } = metadata
  const warn = (message: string) => options.onEvent?.({ type: 'warning', message })
  return { file, config, classes, preprocessing, trainer, warn }
}

export async function tellNative({ trainer, warn }: Model): Promise<void> {
  for (const message of (await trainer.stats()).warnings) warn(message)
}

export function notFinite(who: string, { file }: Model): McLossError {
  return new McLossError(
    'E_NUMERICS',
    `${who}: expected finite outputs of the model ${file}, but some are not: its training has diverged. ` +
      'Use another checkpoint, or train again with a lower optim.lr.',
  )
}

/** Of a model file from before it was kept there: one reader had some, a script's samples may have. */
function earlierPreprocessing(data: ConfigInput['data']): Preprocessing | undefined {
  if (data.name === 'own') return undefined
  return { cropBottom: data.name === 'fgvc-aircraft' && data.cropStrip !== false ? STRIP : 0 }
}

/** Rows to cut off the bottom of a picture of which only the model's file can tell. */
export function cutOf(who: string, { preprocessing, warn }: Model): number {
  if (preprocessing && preprocessing.cropBottom !== null) return preprocessing.cropBottom
  const why = preprocessing ? 'the samples of the run differ in' : 'the model file does not tell'
  warn(`${who}: ${why} cropBottom, the rows cut off their bottom; none are cut off here.`)
  return 0
}

/** `other` over the model's data; another reader takes over only how images become pixels. */
function dataFor(model: ConfigInput['data'], other: Partial<ConfigInput['data']> = {}) {
  if (other.name === undefined && other.dataset === undefined) return { ...model, ...other }
  const { resize, crop, padding, mean, std } = model
  return { resize, crop, padding, mean, std, ...other }
}
