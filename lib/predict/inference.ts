// Trained weights at work: a model file describes itself (classes, preprocessing, configuration),
// so evaluate and predict need nothing else.

import { z } from 'zod'
import { checkArgument, count, record, text } from '../arguments.js'
import { type NativeTrainer, native } from '../binding.js'
import { type Config, type ConfigInput, defineConfig, nativeConfig } from '../config/index.js'
import { badImages } from '../data/bad-images.js'
import type { Sample } from '../data/batch.js'
import { STRIP } from '../data/datasets/fgvc-aircraft.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import type { Preprocessing } from '../data/preprocessing.js'
import { firstDifference } from '../difference.js'
import { McLossError } from '../errors.js'
import type { TestFigures, WarningEvent } from '../events.js'
import { type Answers, answersOf, type EvaluatedBatch } from '../records/answers.js'
import { openReport, writeReport } from '../records/report.js'
import { readModelMetadata } from '../train/checkpoint.js'
import { evaluateBatches } from '../train/epoch.js'
import { emptyClassesWarnings } from '../train/evaluation.js'
import { emaFileOf, modelFileOf } from '../train/links.js'
import { areFinite, testFigures } from '../train/metrics.js'
import { decoded, picturesOf } from './pictures.js'
import { bothViews, probabilitiesOf, ranked, type Views, viewsOf } from './views.js'

export interface ModelOptions {
  /** A model.safetensors, a checkpoint folder, or a run folder (its best checkpoint). */
  weights: string
  /** The average of the weights (optim.ema) of that run or checkpoint: its ema.safetensors. Default false. */
  ema?: boolean
  device?: 'cpu' | 'cuda'
  batchSize?: number
  /** The mean of the probabilities of each image and its mirror image; takes twice as long. */
  flip?: boolean
  onEvent?: ((event: WarningEvent) => void) | undefined
}

export interface EvaluateOptions extends ModelOptions {
  /**
   * Other data than the model was trained on, with the same classes. Keys left out stay the
   * model's: a root alone is the same reader at another place.
   */
  data?: Partial<ConfigInput['data']>
  /** A folder for the tables of docs/records.md: figures by class, confusions, mistakes. */
  report?: string
}

const modelShape = record({
  weights: text,
  ema: z.boolean().optional(),
  device: z.enum(['cpu', 'cuda']).optional(),
  batchSize: count.optional(),
  flip: z.boolean().optional(),
})
const evaluateShape = modelShape.extend({ data: record({}).optional(), report: text.optional() })
const predictShape = modelShape.extend({ top: count.optional() })

/**
 * The test split's figures, as a run's own evaluation gives them; data.onBadImage is the model's. The loss
 * is cross entropy without class weights.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS for weights that cannot be used; E_NUMERICS for a model
 * whose outputs are not finite; E_DATA for data that cannot be used, or whose classes are not the model's.
 */
export async function evaluate(options: EvaluateOptions): Promise<TestFigures> {
  checkArgument('evaluate', 'options', evaluateShape, options)
  const { report } = options
  if (report !== undefined) await openReport(report)
  const model = await openModel(options)
  try {
    const { figures, answers } = await answered('evaluate', model, options)
    if (report !== undefined) await writeReport(report, answers)
    await tellNative(model)
    return figures
  } finally {
    await model.trainer.dispose()
  }
}

/** A model's answers to the test split of its own data, or of other. @throws McLossError as evaluate. */
export async function answered(
  who: string,
  model: Model,
  { data, flip }: Pick<EvaluateOptions, 'data' | 'flip'>,
): Promise<{ figures: TestFigures; answers: Answers }> {
  const { classes: knownClasses } = model
  const dataset = await openDataset({ ...model.config.data, split: 'test', knownClasses })
  for (const message of dataset.warnings ?? []) model.warn(message)
  requireSameClasses(who, model.classes, dataset.classes)
  const test = data ? withModelsCut(dataset.test, model) : dataset.test
  const bad = badImages(model.config.data.onBadImage, test, model.warn)
  const source = { store: undefined, badImages: bad }
  for (const message of emptyClassesWarnings(knownClasses, test, 'test')) model.warn(message)
  const batches = loader({ ...dataset, test }, model.config, { split: 'test', epoch: 0, source })
  const evaluator = flip ? bothViews(model.trainer) : model.trainer
  const evaluated = (await evaluateBatches(evaluator, batches)) as EvaluatedBatch[]
  const figures = testFigures(evaluated)
  if (!areFinite(figures)) throw notFinite(who, model.file)
  return { figures, answers: answersOf(knownClasses, test, evaluated) }
}

export interface Prediction {
  path: string
  /** Most probable first; empty with an error. */
  top: { class: string; label: number; probability: number }[]
  /** Why there is no answer: E_IMAGE, or E_DATA for a folder without images. */
  error?: McLossError
}

/**
 * The `top` (default 5) most probable classes of each image file; a folder stands for the images in
 * it, however deep, sorted. A file that cannot be decoded has an error in place of an answer.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS; E_NUMERICS for a model whose outputs are not finite.
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
    const predictions: Prediction[] = (await picturesOf('predict', paths, model.warn)).map(
      (picture) => ({
        ...picture,
        top: [],
      }),
    )
    const asked = predictions.filter(({ error }) => error === undefined)
    const report = (index: number, error: unknown) => {
      if (!(error instanceof McLossError && error.code === 'E_IMAGE')) throw error
      const prediction = asked[index] as Prediction
      prediction.error = error
    }
    const files = asked.map(({ path }) => path)
    const bad = { has: () => false, report }
    for await (const batch of decoded(files, model.config, cutOf('predict', model), bad)) {
      const pictures = await viewsOf(model.trainer, batch, options.flip ?? false)
      for (const [n, views] of pictures.entries()) {
        const prediction = asked[batch.samples[n] as number] as Prediction
        if (!views.every((logits) => logits.every(Number.isFinite)))
          throw notFinite('predict', model.file)
        prediction.top = topClasses(views, classes, options.top ?? 5)
      }
      batch.release()
    }
    await tellNative(model)
    return predictions
  } finally {
    await model.trainer.dispose()
  }
}

export function notFinite(who: string, file: string): McLossError {
  return new McLossError(
    'E_NUMERICS',
    `${who}: expected finite outputs of the model ${file}, but some are not: its training has diverged. ` +
      'Use another checkpoint, or train again with a lower optim.lr.',
  )
}

export interface Model {
  file: string
  config: Config
  classes: string[]
  /** Undefined: an earlier version's file that does not say. */
  preprocessing: Preprocessing | undefined
  trainer: NativeTrainer
  warn: (message: string) => void
}

export async function openModel(options: EvaluateOptions): Promise<Model> {
  const file = await (options.ema ? emaFileOf : modelFileOf)(options.weights)
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
    await trainer.loadWeights(file, { backboneOnly: false, anyValues: true })
  } catch (error) {
    await trainer.dispose()
    throw error
  }
  const { classes, preprocessing = earlierPreprocessing(input.data) } = metadata
  const warn = (message: string) => options.onEvent?.({ type: 'warning', message })
  return { file, config, classes, preprocessing, trainer, warn }
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

/** Samples of other data, cut as the model's were unless their reader says otherwise. */
function withModelsCut(samples: Sample[], { preprocessing, config }: Model): Sample[] {
  const cut = preprocessing?.cropBottom
  if (!cut || config.data.cropStrip === false) return samples
  return samples.map((sample) => ({ ...sample, cropBottom: sample.cropBottom ?? cut }))
}

export async function tellNative({ trainer, warn }: Model): Promise<void> {
  for (const message of (await trainer.stats()).warnings) warn(message)
}

/** `other` over the model's data; another reader takes over only how images become pixels. */
function dataFor(model: ConfigInput['data'], other: EvaluateOptions['data'] = {}) {
  if (other.name === undefined && other.dataset === undefined) return { ...model, ...other }
  const { resize, crop, padding, mean, std } = model
  return { resize, crop, padding, mean, std, ...other }
}

function requireSameClasses(who: string, model: string[], data: string[]): void {
  const difference = firstDifference(model, data)
  if (difference === undefined) return
  throw new McLossError(
    'E_DATA',
    `${who}: the model knows ${model.length} classes, the data has ${data.length}; ${difference}. ` +
      'Evaluate on data with the classes the model was trained on.',
  )
}

function topClasses(views: Views, classes: string[], top: number): Prediction['top'] {
  const probabilities = probabilitiesOf(views)
  return ranked(probabilities)
    .slice(0, top)
    .map((label) => ({
      class: classes[label] as string,
      label,
      probability: probabilities[label] as number,
    }))
}
