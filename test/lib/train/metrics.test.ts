// Sums to figures: hand-worked values, and sums that do not care where an epoch was cut.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EvaluatedBatch } from '../../../lib/records/answers.js'
import {
  addStats,
  emptyStats,
  isBetter,
  type StatSums,
  testFigures,
  trainFigures,
} from '../../../lib/train/metrics.js'

const stats = (overrides: Partial<StatSums>): StatSums => ({ ...emptyStats(), ...overrides })
/** Of two classes: every prediction is the first, which is right `top1` times. */
const evaluated = (n: number, top1: number, top5: number, lossSum: number): EvaluatedBatch => ({
  n,
  top1,
  top5,
  lossSum,
  predictions: new Int32Array(n),
  predictedProbabilities: new Float32Array(n),
  labelProbabilities: new Float32Array(n),
  samples: Int32Array.from({ length: n }, (_, at) => at),
  labels: Int32Array.from({ length: n }, (_, at) => (at < top1 ? 0 : 1)),
})

test('trainFigures: means over samples, the gradient over the steps that were taken', () => {
  const sums = stats({
    steps: 5,
    skipped: 1,
    n: 64,
    correct: 16,
    loss: 128,
    parts: { ce: 96, dis: 32, div: 80 },
    gradNorm: 10,
  })
  expect(trainFigures(sums, 8, 2)).toEqual({
    loss: 2,
    parts: { ce: 1.5, dis: 0.5, div: 1.25 },
    top1: 0.25,
    gradNorm: 2.5,
    skipped: 1,
    imagesPerSecond: 8,
    dataWait: 0.25,
  })
})

test('trainFigures of an epoch whose every step was skipped are no numbers, and do not throw', () => {
  const { loss, top1, skipped } = trainFigures(stats({ steps: 3, skipped: 3 }), 1, 0)
  expect([loss, top1, skipped]).toEqual([Number.NaN, Number.NaN, 3])
})

test('addStats: an epoch in pieces adds up to the epoch, parts that appear late included', () => {
  const count = fc.integer({ min: 0, max: 1000 })
  const piece = fc.record({
    steps: count,
    skipped: count,
    n: count,
    correct: count,
    loss: count,
    parts: fc.dictionary(fc.constantFrom('ce', 'dis', 'div'), count),
    gradNorm: count,
    ms: count,
  })
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const sum = pieces.reduce(addStats, emptyStats())
      for (const key of ['steps', 'skipped', 'n', 'correct', 'loss', 'gradNorm', 'ms'] as const) {
        let expected = 0
        for (const one of pieces) expected += one[key]
        expect(sum[key]).toBe(expected)
      }
      const parts: Record<string, number> = {}
      for (const one of pieces) {
        for (const name of Object.keys(one.parts)) {
          parts[name] = (parts[name] ?? 0) + (one.parts[name] ?? 0)
        }
      }
      expect(sum.parts).toEqual(parts)
    }),
  )
})

test('addStats leaves its arguments alone', () => {
  const a = stats({ n: 1, parts: { ce: 1 } })
  addStats(a, stats({ n: 2, parts: { ce: 2 } }))
  expect(a).toEqual(stats({ n: 1, parts: { ce: 1 } }))
})

test('testFigures: a mean over samples, not over batches', () => {
  const figures = testFigures([evaluated(8, 4, 8, 16), evaluated(2, 2, 2, 1)])
  expect(figures).toEqual({ loss: 1.7, top1: 0.6, top5: 1, meanPerClass: 0.5, classes: 2, n: 10 })
  expect(testFigures([])).toMatchObject({ n: 0, loss: Number.NaN })
})

test('meanPerClass: the mean of a confusion by hand, whatever the batches, without empty classes', () => {
  // Rows are labels, columns predictions: 8 of 10, 1 of 4, 0 of 0, 1 of 2 right.
  const confusion = [
    [8, 1, 0, 1],
    [2, 1, 1, 0],
    [0, 0, 0, 0],
    [0, 0, 1, 1],
  ]
  const pairs = confusion.flatMap((row, label) =>
    row.flatMap((count, prediction) => Array.from({ length: count }, () => [label, prediction])),
  )
  for (const size of [16, 3, 1]) {
    const batches = Array.from({ length: Math.ceil(16 / size) }, (_, at) => {
      const batch = pairs.slice(at * size, (at + 1) * size)
      return {
        ...evaluated(batch.length, 0, 0, 0),
        labels: Int32Array.from(batch, ([label]) => label as number),
        predictions: Int32Array.from(batch, ([, prediction]) => prediction as number),
      }
    })
    const { meanPerClass, classes } = testFigures(batches)
    expect(meanPerClass).toBe((8 / 10 + 1 / 4 + 1 / 2) / 3)
    expect(classes).toBe(3)
  }
})

const counts = { classes: 2, n: 10 }

test('isBetter: higher for accuracies, lower for loss, strictly', () => {
  const figures = (loss: number, top1: number, top5: number) => ({
    ...{ loss, top1, top5, ...counts },
    meanPerClass: top1,
  })
  const best = figures(1, 0.5, 0.8)
  const answers = (loss: number, top1: number, top5: number) =>
    (['loss', 'top1', 'top5', 'meanPerClass'] as const).map((metric) =>
      isBetter(metric, figures(loss, top1, top5), best),
    )
  expect(answers(0.9, 0.6, 0.9)).toEqual([true, true, true, true])
  expect(answers(1.1, 0.4, 0.7)).toEqual([false, false, false, false])
  expect(answers(1, 0.5, 0.8)).toEqual([false, false, false, false])
  expect(isBetter('loss', figures(5, 0, 0), undefined)).toBe(true)
})

test('a diverged epoch is no better than any, and never stays the best', () => {
  const figures = (loss: number) => ({ loss, top1: 0, top5: 0, meanPerClass: 0, ...counts })
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, null as unknown as number]) {
    expect(isBetter('loss', figures(3), figures(bad)), String(bad)).toBe(true)
    expect(isBetter('loss', figures(bad), figures(bad)), String(bad)).toBe(false)
  }
  expect(isBetter('loss', figures(Number.NaN), figures(3))).toBe(false)
})

test('an epoch is best only with a loss and accuracies that are finite, whatever decides', () => {
  const figures = (loss: number, top1: number) => ({
    ...{ loss, top1, top5: 1, ...counts },
    meanPerClass: 0.5,
  })
  const good = figures(1, 0.5)
  for (const metric of ['loss', 'top1', 'top5'] as const) {
    for (const bad of [figures(Number.NaN, 0.9), figures(0.1, Number.NaN)]) {
      expect(isBetter(metric, bad, undefined), metric).toBe(false)
      expect(isBetter(metric, bad, good), metric).toBe(false)
      expect(isBetter(metric, good, bad), metric).toBe(true)
    }
  }
})

test('a best of an earlier version, which has no mean per class, gives way to the first that has', () => {
  const now = { loss: 2, top1: 0.4, top5: 0.8, meanPerClass: 0.3, ...counts }
  for (const missing of [Number.NaN, null as unknown as number]) {
    const earlier = { ...now, top1: 0.5, meanPerClass: missing }
    expect(isBetter('meanPerClass', now, earlier)).toBe(true)
    expect(isBetter('top1', now, earlier)).toBe(false)
  }
})
