// Which classes are taken for each other, over all runs of a report.

import type { Confusion } from './run.js'

export interface Mixed {
  /** Images of the first taken for the second, and the other way round. */
  there: number
  back: number
  /** Images of each. */
  n: number
  otherN: number
}

export interface Pair {
  class: string
  other: string
  /** By run; undefined where the run does not know both classes, or has no confusion. */
  runs: (Mixed | undefined)[]
}

/** The pairs that are mixed up most often, by the mean share over the runs; at most `most`. */
export function nearestPairs(confusions: readonly (Confusion | undefined)[], most: number): Pair[] {
  const tables = confusions.map((confusion) => confusion && tableOf(confusion))
  const names = new Map<string, readonly [string, string]>()
  for (const table of tables) {
    for (const [name, other] of table?.mistaken ?? []) {
      const both = [name, other].sort() as [string, string]
      names.set(JSON.stringify(both), both)
    }
  }
  return [...names.values()]
    .map(([name, other]) => {
      const runs = tables.map((table) => table?.mixed(name, other))
      return { pair: { class: name, other, runs }, share: shareOf(runs) }
    })
    .sort((a, b) => b.share - a.share)
    .slice(0, most)
    .map(({ pair }) => pair)
}

function tableOf({ classes, counts }: Confusion) {
  const places = new Map(classes.map((name, at) => [name, at]))
  const images = counts.map((row) => row.reduce((sum, count) => sum + count, 0))
  return {
    mistaken: classes.flatMap((name, a) =>
      classes.flatMap((other, b) => (a !== b && counts[a]?.[b] ? [[name, other] as const] : [])),
    ),
    mixed(name: string, other: string): Mixed | undefined {
      const [a, b] = [places.get(name), places.get(other)]
      if (a === undefined || b === undefined) return undefined
      const [n = 0, otherN = 0] = [images[a], images[b]]
      return { there: counts[a]?.[b] ?? 0, back: counts[b]?.[a] ?? 0, n, otherN }
    },
  }
}

function shareOf(runs: (Mixed | undefined)[]): number {
  const known = runs.filter((mixed) => mixed !== undefined)
  const shares = known.map(({ there, back, n, otherN }) => (there + back) / (n + otherN))
  return shares.reduce((sum, share) => sum + share, 0) / known.length
}
