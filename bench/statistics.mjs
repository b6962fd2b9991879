// Medians with their spread, as they are printed and as rows keep them (bench/rows.mjs).

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** 'median [smallest .. largest]' */
export function spread(values, digits = 2) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return `${median(values).toFixed(digits)} [${low.toFixed(digits)} .. ${high.toFixed(digits)}]`
}

/** A side of a row: of several values the median with the smallest and the largest. */
export function figure(name, unit, values) {
  if (!Array.isArray(values)) return { name, value: rounded(values), unit }
  const { median: value, ...range } = rangeOf(values)
  return { name, value, ...range, unit }
}

/** The ratio of a row: of the medians, and the range of the rounds' own ratios. */
export function ratioOf(above, below) {
  const byRound = above.map((one, round) => one / below[round])
  return { value: rounded(median(above) / median(below)), ...rangeOf(byRound) }
}

export function rangeOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return { median: rounded(median(values)), low: rounded(low), high: rounded(high) }
}

/** Five significant digits. */
export function rounded(value) {
  return Number(value.toPrecision(5))
}

/** Runs two sides by turns, A B B A A B B A ..., `rounds` times each. */
export function interleave(rounds, a, b) {
  return takeTurns(rounds, { a, b })
}

/**
 * Runs every side once a round, A B C, C B A, A B C, ..., so that a drift of the machine falls on all;
 * -> the results of each side by its name.
 */
export async function takeTurns(rounds, sides) {
  const names = Object.keys(sides)
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) {
      results[name].push(await sides[name]())
    }
  }
  return results
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of a sample: divided by n - 1. */
export function deviation(values) {
  const middle = mean(values)
  return Math.sqrt(
    values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1),
  )
}

// 97.5 % quantiles of Student's t for 1, 2, .. degrees of freedom.
const T_975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093,
]

/** Mean and 95 % interval of a[i] - b[i], for 2 to 20 pairs. */
export function pairedInterval(a, b) {
  const differences = a.map((value, i) => value - b[i])
  const middle = mean(differences)
  const t = T_975[differences.length - 2]
  if (t === undefined) throw new Error(`statistics: no t for ${differences.length} pairs.`)
  const half = (t * deviation(differences)) / Math.sqrt(differences.length)
  return { mean: middle, low: middle - half, high: middle + half }
}
