// The classes' probabilities of a picture, and those of a picture and its mirror image: the mean of both,
// as mmpretrain's AverageClsScoreTTA has it. A mean of the logits would be other figures.

import type { EvalStats, NativeBatch, NativeTrainer } from '../binding.js'

type Predictor = Pick<NativeTrainer, 'predict'>

/** The logits of one picture, a view each. */
export type Views = Float32Array[]

/** [count]: one view of each picture, or with `flip` two. `seen`: of the pictures as they are, if known. */
export async function viewsOf(
  trainer: Predictor,
  batch: NativeBatch,
  flip: boolean,
  seen?: Float32Array,
): Promise<Views[]> {
  if (batch.count === 0) return []
  const plain = seen ?? (await trainer.predict(batch))
  const views = flip ? [plain, await trainer.predict(mirror(batch))] : [plain]
  return Array.from({ length: batch.count }, (_, n) =>
    views.map((logits) => rowOf(logits, batch.count, n)),
  )
}

/** Row n of `count` rows, in their memory. */
export function rowOf(values: Float32Array, count: number, n: number): Float32Array {
  const width = values.length / count
  return values.subarray(n * width, (n + 1) * width)
}

/** [K]: the mean over the views of the softmax. */
export function probabilitiesOf(views: Views): Float64Array {
  const sum = new Float64Array(views[0]?.length ?? 0)
  for (const logits of views) {
    for (const [k, probability] of softmax(logits).entries()) sum[k] = (sum[k] ?? 0) + probability
  }
  return sum.map((value) => value / views.length)
}

/** Classes, the most probable first; of equal ones the first. */
export function ranked(probabilities: Float64Array): number[] {
  return Array.from(probabilities.keys()).sort(
    (a, b) => (probabilities[b] as number) - (probabilities[a] as number),
  )
}

/** Evaluates on the probabilities of both views; the loss is -log of the label's. */
export function bothViews(trainer: Predictor): Pick<NativeTrainer, 'evaluate'> {
  return {
    async evaluate(batch): Promise<EvalStats> {
      const stats = { n: batch.count, top1: 0, top5: 0, lossSum: 0 }
      const predictions = new Int32Array(batch.count)
      const predictedProbabilities = new Float32Array(batch.count)
      const labelProbabilities = new Float32Array(batch.count)
      for (const [n, views] of (await viewsOf(trainer, batch, true)).entries()) {
        const label = batch.labels?.[n] as number
        const probabilities = probabilitiesOf(views)
        const best = ranked(probabilities)
        const rank = best.indexOf(label)
        predictions[n] = best[0] as number
        predictedProbabilities[n] = probabilities[best[0] as number] as number
        labelProbabilities[n] = probabilities[label] as number
        if (rank < 1) stats.top1++
        if (rank < 5) stats.top5++
        stats.lossSum += surpriseOf(views, label)
      }
      return { ...stats, predictions, predictedProbabilities, labelProbabilities }
    },
  }
}

function mirror(batch: NativeBatch): NativeBatch {
  return { ...batch, windows: batch.windows.map((value, at) => (at % 3 === 2 ? 1 - value : value)) }
}

/** -log of the label's mean probability, which itself may be too small for a number. */
function surpriseOf(views: Views, label: number): number {
  const each = views.map((logits) => {
    const largest = Math.max(...logits)
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0)
    return Math.log(sum) + largest - (logits[label] as number)
  })
  const least = Math.min(...each)
  return least - Math.log(each.reduce((sum, one) => sum + Math.exp(least - one), 0) / each.length)
}

/** Softmax in float64. */
export function softmax(logits: Float32Array): Float64Array {
  const largest = Math.max(...logits)
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}
