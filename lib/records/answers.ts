// What a model answered to each sample of a split.

import type { EvalStats } from '../binding.js'
import type { Batch, Sample } from '../data/batch.js'

export interface Answer {
  path: string
  label: number
  predicted: number
  /** Of the predicted class, and of the label. */
  probability: number
  labelProbability: number
}

export interface Answers {
  classes: readonly string[]
  /** In the samples' order. */
  all: Answer[]
}

/** What native found of a batch, and whose it is. */
export type EvaluatedBatch = EvalStats & Pick<Batch, 'samples' | 'labels'>

export function answersOf(
  classes: readonly string[],
  samples: readonly Sample[],
  batches: readonly EvaluatedBatch[],
): Answers {
  const all = batches.flatMap((batch) =>
    Array.from(batch.labels, (label, at) => ({
      path: samples[batch.samples[at] as number]?.path ?? '',
      label,
      predicted: batch.predictions[at] as number,
      probability: batch.predictedProbabilities[at] as number,
      labelProbability: batch.labelProbabilities[at] as number,
    })),
  )
  return { classes, all }
}
