// What is evaluated when. At the end of an epoch: the split that the best epoch is picked on. At the
// end of a run that picks on validation images: the test split, once, with the weights of the best.

import { join } from 'node:path'
import type { NativeTrainer } from '../binding.js'
import type { Config } from '../config/index.js'
import type { Dataset } from '../data/batch.js'
import { loader } from '../data/loader.js'
import type { Stores } from '../data/store/index.js'
import type { EvaluatedSplit, TestFigures } from '../events.js'
import { openCheckpoint } from './checkpoint.js'
import { evaluateBatches } from './epoch.js'

/** What an evaluation needs of a run. */
export interface EvaluationContext {
  config: Config
  dataset: Dataset
  stores: Stores
  trainer: NativeTrainer
}

/** Of the end of an epoch. */
export interface Evaluation {
  split: EvaluatedSplit
  figures: TestFigures
}

/** The split that best is picked on: the test split, unless validation images are set aside. */
export function bestPickedOn({ data }: Config): EvaluatedSplit {
  return data.validation === undefined ? 'test' : 'validation'
}

/** Undefined once aborted. */
export async function evaluateEpoch(
  context: EvaluationContext,
  signal: AbortSignal | undefined,
): Promise<Evaluation | undefined> {
  const split = bestPickedOn(context.config)
  const figures = await figuresOf(context, split, signal)
  return figures && { split, figures }
}

/**
 * The test split's figures of the run's best checkpoint, whose weights stay in the trainer. Undefined
 * once aborted.
 *
 * @throws McLossError E_CHECKPOINT where it is damaged.
 */
export async function testBest(
  context: EvaluationContext & { runDir: string },
  signal: AbortSignal | undefined,
): Promise<TestFigures | undefined> {
  const { path } = await openCheckpoint(join(context.runDir, 'best'))
  const file = join(path, 'model.safetensors')
  await context.trainer.loadWeights(file, { backboneOnly: false, anyValues: true })
  return await figuresOf(context, 'test', signal)
}

function figuresOf(
  { config, dataset, stores, trainer }: EvaluationContext,
  split: EvaluatedSplit,
  signal: AbortSignal | undefined,
): Promise<TestFigures | undefined> {
  const source = split === 'test' ? stores.test : stores.train
  const batches = loader(dataset, config, { split, epoch: 0, source })
  return evaluateBatches(trainer, batches, signal)
}

/** Says which classes mean per-class accuracy leaves out, if there are some. */
export function emptyClassesWarnings(
  classes: readonly string[],
  samples: readonly { label: number }[],
  split: EvaluatedSplit,
): string[] {
  const labels = new Set(samples.map(({ label }) => label))
  const empty = classes.filter((_, label) => !labels.has(label))
  if (empty.length === 0) return []
  const names = empty.slice(0, NAMED).map((name) => `'${name}'`)
  const more = empty.length > NAMED ? `, and ${empty.length - NAMED} more` : ''
  return [
    `evaluation: ${empty.length} of ${classes.length} classes have no ${split} image; mean per-class ` +
      `accuracy leaves them out: ${names.join(', ')}${more}.`,
  ]
}

/** Classes that a message names. */
const NAMED = 4
