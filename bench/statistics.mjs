// Medians with their spread, and how figures are printed.

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

/**
 * Runs two sides by turns, A B B A A B B A ..., `rounds` times each, so that a drift of the machine
 * falls on both.
 */
export async function interleave(rounds, a, b) {
  const results = { a: [], b: [] }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 ? ['b', 'a'] : ['a', 'b']
    for (const side of order) results[side].push(await (side === 'a' ? a() : b()))
  }
  return results
}
