// From native's sums to the figures people read: pure functions.

import type { StepStats } from '../binding.js'
import type { TestFigures, TrainFigures } from '../events.js'
import type { EvaluatedBatch } from '../records/answers.js'

/** What can be added up over reports. */
export type StatSums = Omit<StepStats, 'warnings'>

export function emptyStats(): StatSums {
  return { steps: 0, skipped: 0, n: 0, correct: 0, loss: 0, parts: {}, gradNorm: 0, ms: 0 }
}

export function addStats(a: StatSums, b: StatSums): StatSums {
  const parts = { ...a.parts }
  for (const [name, sum] of Object.entries(b.parts)) parts[name] = (parts[name] ?? 0) + sum
  return {
    steps: a.steps + b.steps,
    skipped: a.skipped + b.skipped,
    n: a.n + b.n,
    correct: a.correct + b.correct,
    loss: a.loss + b.loss,
    parts,
    gradNorm: a.gradNorm + b.gradNorm,
    ms: a.ms + b.ms,
  }
}

/** Means over the samples (steps for gradNorm) that were not skipped; NaN where there are none. */
export function trainFigures(stats: StatSums, seconds: number, waitSeconds: number): TrainFigures {
  const { n, steps, skipped } = stats
  return {
    loss: stats.loss / n,
    parts: Object.fromEntries(Object.entries(stats.parts).map(([name, sum]) => [name, sum / n])),
    top1: stats.correct / n,
    gradNorm: stats.gradNorm / (steps - skipped),
    skipped,
    imagesPerSecond: n / seconds,
    dataWait: waitSeconds / seconds,
  }
}

export function testFigures(all: EvaluatedBatch[]): TestFigures {
  const sum = (pick: (batch: EvaluatedBatch) => number) =>
    all.reduce((to, one) => to + pick(one), 0)
  const n = sum((stats) => stats.n)
  return {
    loss: sum((stats) => stats.lossSum) / n,
    top1: sum((stats) => stats.top1) / n,
    top5: sum((stats) => stats.top5) / n,
    ...meanPerClass(all),
    n,
  }
}

/** The mean of each class's top-1, over the classes that have samples. */
function meanPerClass(all: EvaluatedBatch[]) {
  const counts = new Map<number, { n: number; correct: number }>()
  for (const { labels, predictions } of all) {
    for (const [at, label] of labels.entries()) {
      const { n, correct } = counts.get(label) ?? { n: 0, correct: 0 }
      counts.set(label, { n: n + 1, correct: correct + (predictions[at] === label ? 1 : 0) })
    }
  }
  // In the order of the classes, so that the batches' size cannot change the last bit.
  const classes = [...counts].sort(([a], [b]) => a - b)
  const sum = classes.reduce((to, [, { n, correct }]) => to + correct / n, 0)
  return { meanPerClass: sum / classes.length, classes: classes.length }
}

/** Loss and accuracies as numbers: not NaN, not infinite, nor the null that JSON makes of them. */
export function areFinite({
  loss,
  top1,
  top5 = 0,
}: Pick<TestFigures, 'loss' | 'top1'> & { top5?: number }) {
  return [loss, top1, top5].every(Number.isFinite)
}

/**
 * Whether `test` beats the best so far: strictly, so that of equal epochs the first stays. Figures that
 * are not finite (a diverged epoch) beat none, and any that are beat them.
 */
export function isBetter(
  metric: 'top1' | 'top5' | 'loss' | 'meanPerClass',
  test: TestFigures,
  best: TestFigures | undefined,
): boolean {
  if (!areFinite(test)) return false
  // Earlier versions did not keep every metric.
  if (!best || !areFinite(best) || !Number.isFinite(best[metric])) return true
  return metric === 'loss' ? test.loss < best.loss : test[metric] > best[metric]
}
