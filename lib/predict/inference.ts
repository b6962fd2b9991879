// Trained weights at work: the figures of a model on a test split, and the classes of image files.

import { z } from 'zod'
import { checkArgument, count, record, text } from '../arguments.js'
import type { ConfigInput } from '../config/index.js'
import { badImages } from '../data/bad-images.js'
import type { Sample } from '../data/batch.js'
import { openDataset } from '../data/datasets/index.js'
import { loader } from '../data/loader.js'
import { firstDifference } from '../difference.js'
import { McLossError } from '../errors.js'
import type { TestFigures } from '../events.js'
import { type Answers, answersOf, type EvaluatedBatch } from '../records/answers.js'
import { openReport, writeReport } from '../records/report.js'
import { evaluateBatches } from '../train/epoch.js'
import { emptyClassesWarnings } from '../train/evaluation.js'
import { areFinite, testFigures } from '../train/metrics.js'
import { type Prediction, predictEach } from './each.js'
import {
  type Model,
  type ModelOptions,
  modelShape,
  notFinite,
  openModel,
  tellNative,
} from './model.js'
import { picturesOf } from './pictures.js'
import { bothViews } from './views.js'

export interface EvaluateOptions extends ModelOptions {
  /**
   * Other data than the model was trained on, with the same classes. Keys left out stay the
   * model's: a root alone is the same reader at another place.
   */
  data?: Partial<ConfigInput['data']>
  /** A folder for the tables of docs/records.md: figures by class, confusions, mistakes. */
  report?: string
}

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
  const model = await openModel(options, options.data)
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
  if (!areFinite(figures)) throw notFinite(who, model)
  return { figures, answers: answersOf(knownClasses, test, evaluated) }
}

/**
 * The `top` (default 5) most probable classes of each image file. A folder stands for the images in
 * it, however deep, sorted, and a glob for those it matches. A file that cannot be decoded has an error in
 * place of an answer.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS; E_NUMERICS for a model whose outputs are not finite.
 */
export async function predict(
  paths: readonly string[],
  options: ModelOptions & { top?: number },
): Promise<Prediction[]> {
  checkArgument('predict', 'paths', z.array(text), paths)
  checkArgument('predict', 'options', predictShape, options)
  const warn = (message: string) => options.onEvent?.({ type: 'warning', message })
  const predictions: Prediction[] = []
  for await (const one of predictEach(await picturesOf('predict', paths, warn), options))
    predictions.push(one)
  return predictions
}

/** Samples of other data, cut as the model's were unless their reader says otherwise. */
function withModelsCut(samples: Sample[], { preprocessing, config }: Model): Sample[] {
  const cut = preprocessing?.cropBottom
  if (!cut || config.data.cropStrip === false) return samples
  return samples.map((sample) => ({ ...sample, cropBottom: sample.cropBottom ?? cut }))
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
