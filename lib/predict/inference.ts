// Trained weights at work: a model file describes itself (classes, preprocessing, configuration),
// so evaluate and predict need nothing else.

import { resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, count, record, text } from '../arguments.js'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, type ConfigInput, defineConfig, nativeConfig } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import { firstDifference } from '../difference.js'
import { McLossError } from '../errors.js'
import type { TestFigures } from '../events.js'
import { readModelMetadata } from '../train/checkpoint.js'
import { evaluateBatches } from '../train/epoch.js'
import { modelFileOf } from '../train/links.js'
import { areFinite } from '../train/metrics.js'

export interface ModelOptions {
  /** A model.safetensors, a checkpoint folder, or a run folder (its best checkpoint). */
  weights: string
  device?: 'cpu' | 'cuda'
  batchSize?: number
}

export interface EvaluateOptions extends ModelOptions {
  /**
   * Other data than the model was trained on, with the same classes. Keys left out stay the
   * model's: a root alone is the same reader at another place.
   */
  data?: Partial<ConfigInput['data']>
}

const modelShape = record({
  weights: text,
  device: z.enum(['cpu', 'cuda']).optional(),
  batchSize: count.optional(),
})
const evaluateShape = modelShape.extend({ data: record({}).optional() })
const predictShape = modelShape.extend({ top: count.optional() })

/**
 * The test split's figures.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS for weights that cannot be used; E_NUMERICS for a model
 * whose outputs are not finite; E_DATA for data that
 * cannot, or whose classes are not the model's.
 */
export async function evaluate(options: EvaluateOptions): Promise<TestFigures> {
  checkArgument('evaluate', 'options', evaluateShape, options)
  const model = await openModel(options)
  try {
    const { classes: knownClasses } = model
    const dataset = await openDataset({ ...model.config.data, split: 'test', knownClasses })
    requireSameClasses(model.classes, dataset.classes)
    const batches = loader(dataset, model.config, { split: 'test', epoch: 0 })
    const figures = (await evaluateBatches(model.trainer, batches)) as TestFigures
    if (!areFinite(figures)) throw notFinite('evaluate', model.file)
    return figures
  } finally {
    await model.trainer.dispose()
  }
}

export interface Prediction {
  path: string
  /** Most probable first. */
  top: { class: string; label: number; probability: number }[]
}

/**
 * The `top` (default 5) most probable classes of each image file.
 *
 * @throws McLossError E_IMAGE naming a file that cannot be decoded; E_CHECKPOINT, E_WEIGHTS; E_NUMERICS
 * for a model whose outputs are not finite.
 */
export async function predict(
  paths: readonly string[],
  options: ModelOptions & { top?: number },
): Promise<Prediction[]> {
  checkArgument('predict', 'paths', z.array(text), paths)
  checkArgument('predict', 'options', predictShape, options)
  const model = await openModel(options)
  try {
    const { classes } = model
    const test = paths.map((path) => ({ path: resolve(path), label: 0 }))
    const dataset: Dataset = { classes, train: [], test }
    const predictions: Prediction[] = []
    for await (const batch of loader(dataset, model.config, { split: 'test', epoch: 0 })) {
      const logits = await model.trainer.predict(batch)
      for (let n = 0; n < batch.count; n++) {
        const row = logits.subarray(n * classes.length, (n + 1) * classes.length)
        const path = paths[predictions.length] as string
        if (!row.every(Number.isFinite)) throw notFinite('predict', model.file)
        predictions.push({ path, top: topClasses(row, classes, options.top ?? 5) })
      }
      batch.release()
    }
    return predictions
  } finally {
    await model.trainer.dispose()
  }
}

function notFinite(who: string, file: string): McLossError {
  return new McLossError(
    'E_NUMERICS',
    `${who}: expected finite outputs of the model ${file}, but some are not: its training has diverged. ` +
      'Use another checkpoint, or train again with a lower optim.lr.',
  )
}

interface Model {
  file: string
  config: Config
  classes: string[]
  trainer: NativeTrainer
}

async function openModel(options: EvaluateOptions): Promise<Model> {
  const file = await modelFileOf(options.weights)
  const metadata = await readModelMetadata(file)
  // How many threads, which number format and how many micro-batches were the training machine's.
  const { threads: _, precision, ...input } = metadata.config as ConfigInput
  const device = options.device ?? input.device
  const config = defineConfig({
    ...input,
    device,
    ...(device === input.device && { precision }),
    data: dataFor(input.data, options.data),
    optim: {
      ...input.optim,
      gradAccumSteps: 1,
      ...(options.batchSize && { batchSize: options.batchSize }),
    },
  })
  const trainer = await native().NativeTrainer.create(nativeConfig(config, metadata.classes.length))
  try {
    await trainer.loadWeights(file, { backboneOnly: false })
  } catch (error) {
    await trainer.dispose()
    throw error
  }
  return { file, config, classes: metadata.classes, trainer }
}

/** `other` over the model's data; another reader takes over only how images become pixels. */
function dataFor(model: ConfigInput['data'], other: EvaluateOptions['data'] = {}) {
  if (other.name === undefined && other.dataset === undefined) return { ...model, ...other }
  const { resize, crop, padding, mean, std } = model
  return { resize, crop, padding, mean, std, ...other }
}

function requireSameClasses(model: string[], data: string[]): void {
  const difference = firstDifference(model, data)
  if (difference === undefined) return
  throw new McLossError(
    'E_DATA',
    `evaluate: the model knows ${model.length} classes, the data has ${data.length}; ${difference}. ` +
      'Evaluate on data with the classes the model was trained on.',
  )
}

function topClasses(logits: Float32Array, classes: string[], top: number): Prediction['top'] {
  const largest = Math.max(...logits)
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights
    .map((weight, label) => ({ class: classes[label] as string, label, probability: weight / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top)
}
