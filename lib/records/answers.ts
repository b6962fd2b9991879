// What a model answered to each sample of a split.

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
  /** Of the split. */
  samples: readonly Sample[]
  /** Those that were given, in the samples' order. */
  all: Answer[]
}

/** Takes those of a batch: the classes that native found, and the logits [count * classes]. */
export function addAnswers(
  { classes, samples, all }: Answers,
  batch: Pick<Batch, 'samples' | 'labels'>,
  predictions: Int32Array,
  logits: Float32Array,
): void {
  for (const [at, label] of batch.labels.entries()) {
    const row = logits.subarray(at * classes.length, (at + 1) * classes.length)
    const probability = probabilities(row)
    const predicted = predictions[at] as number
    all.push({
      path: samples[batch.samples[at] as number]?.path ?? '',
      label,
      predicted,
      probability: probability[predicted] as number,
      labelProbability: probability[label] as number,
    })
  }
}

/** Softmax in float64. */
export function probabilities(logits: Float32Array): Float64Array {
  const largest = Math.max(...logits)
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}
