// What is evaluated when. At the end of an epoch: the split that the best epoch is picked on. At the
// end of a run that picks on validation images: the test split, once, with the weights of the best.

import { join } from 'node:path'
import type { Config } from '../config/index.js'
import { loader } from '../data/loader.js'
import type { EvaluatedSplit, TestFigures } from '../events.js'
import type { EvaluatedBatch } from '../records/answers.js'
import { openCheckpoint } from './checkpoint.js'
import type { RunContext } from './context.js'
import { evaluateBatches, evaluateWeights } from './epoch.js'
import { EMA_FILE, MODEL_FILE } from './manifest.js'
import { testFigures } from './metrics.js'

/** What an evaluation needs of a run. */
type EvaluationContext = Pick<RunContext, 'config' | 'dataset' | 'stores' | 'trainer'>

/** Of the end of an epoch. */
export interface Evaluation {
  split: EvaluatedSplit
  figures: TestFigures
  /** Of the average of the weights, with optim.ema. */
  ema?: TestFigures
  /** Of those that best is picked by: figures, or ema. */
  picked: TestFigures
  /** What these are made of. */
  batches: EvaluatedBatch[]
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
  const { config, trainer } = context
  const { of } = config.best
  const split = bestPickedOn(config)
  const names = config.optim.ema ? (['raw', 'ema'] as const) : (['raw'] as const)
  const all = await evaluateWeights(trainer, batchesOf(context, split), names, signal)
  if (!all) return undefined
  const ema = all.ema && testFigures(all.ema)
  const figures = testFigures(all.raw)
  return {
    ...{ split, figures, picked: of === 'ema' && ema ? ema : figures, batches: all[of] },
    ...(ema && { ema }),
  }
}

/**
 * The test split evaluated with the run's best checkpoint, whose weights stay in the trainer. Undefined
 * once aborted.
 *
 * @throws McLossError E_CHECKPOINT where it is damaged.
 */
export async function testBest(
  context: EvaluationContext & Pick<RunContext, 'runDir'>,
  signal: AbortSignal | undefined,
): Promise<EvaluatedBatch[] | undefined> {
  const { path } = await openCheckpoint(join(context.runDir, 'best'))
  const { trainer, config } = context
  const file = join(path, config.best.of === 'ema' ? EMA_FILE : MODEL_FILE)
  await trainer.loadWeights(file, { backboneOnly: false, anyValues: true })
  return evaluateBatches(trainer, batchesOf(context, 'test'), signal)
}

function batchesOf({ config, dataset, stores }: EvaluationContext, split: EvaluatedSplit) {
  const source = split === 'test' ? stores.test : stores.train
  return loader(dataset, config, { split, epoch: 0, source })
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
