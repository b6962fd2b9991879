// Mean, standard deviation and the paired t interval: what a few seeds can tell.

export interface Difference {
  mean: number
  /** The 95 % interval of Student's t; null for one pair, which has none. */
  low: number | null
  high: number | null
  /** Pairs. */
  n: number
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of a sample, divided by n - 1; null for one value. */
export function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null
  const middle = mean(values)
  const squares = values.map((value) => (value - middle) ** 2)
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / (values.length - 1))
}

/** Of one[i] - other[i]. */
export function pairedDifference(one: readonly number[], other: readonly number[]): Difference {
  const differences = one.map((value, i) => value - (other[i] as number))
  const n = differences.length
  const middle = mean(differences)
  const spread = deviation(differences)
  if (spread === null) return { mean: middle, low: null, high: null, n }
  const half = (quantile975(n - 1) * spread) / Math.sqrt(n)
  return { mean: middle, low: middle - half, high: middle + half, n }
}

/** The 97.5 % quantile of Student's t: where P(|T| < t) is 95 %, found by bisection. */
export function quantile975(freedom: number): number {
  let [low, high] = [0, 13] // 12.7 for one degree of freedom, less for more
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2
    if (within(middle, freedom) < 0.95) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** P(|T| < t) for a whole number of degrees of freedom: Abramowitz and Stegun, 26.7.3 and 26.7.4. */
function within(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom))
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)]
  const isOdd = freedom % 2 === 1
  let term = isOdd ? cosine : 1
  let sum = freedom === 1 ? 0 : term
  for (let at = isOdd ? 3 : 2; at < freedom - 1; at += 2) {
    term *= ((at - 1) / at) * cosine ** 2
    sum += term
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum
}
