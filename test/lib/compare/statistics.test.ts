// The statistics of a comparison against values of SciPy 1.17.1 and by hand.

import { expect, test } from 'vitest'
import { deviation, mean, pairedDifference, quantile975 } from '../../../lib/compare/statistics.js'

// scipy.stats.t.ppf(0.975, df)
const scipy: [number, number][] = [
  [1, 12.706204736175],
  [2, 4.302652729749],
  [3, 3.182446305284],
  [4, 2.776445105198],
  [5, 2.570581835636],
  [9, 2.262157162798],
  [10, 2.228138851986],
  [19, 2.093024054408],
  [30, 2.042272456301],
  [100, 1.983971518524],
]

test.each(scipy)('the 97.5 %% quantile of t with %i degrees of freedom', (freedom, t) => {
  expect(quantile975(freedom)).toBeCloseTo(t, 9)
})

test('mean and standard deviation of a sample', () => {
  expect(mean([2, 4, 9])).toBe(5)
  expect(deviation([2, 4, 9])).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 2), 12)
  expect(deviation([2])).toBeNull()
})

// scipy.stats.ttest_rel(one, other).confidence_interval(0.95)
test('the paired interval is that of a paired t test', () => {
  const one = [95.8, 93.8, 94.3, 88.8, 92.5]
  const other = [88.7, 86.3, 89.5, 88.2, 88.3]
  const { mean: middle, low, high, n } = pairedDifference(one, other)
  expect(middle).toBeCloseTo(4.84, 9)
  expect(low).toBeCloseTo(1.4072986658, 8)
  expect(high).toBeCloseTo(8.2727013342, 8)
  expect(n).toBe(5)
  const back = pairedDifference(other, one)
  expect(back.mean).toBeCloseTo(-middle, 12)
  expect(back.low).toBeCloseTo(-(high as number), 12)
})

test('one pair has a difference and no interval', () => {
  expect(pairedDifference([0.5], [0.25])).toEqual({ mean: 0.25, low: null, high: null, n: 1 })
})
