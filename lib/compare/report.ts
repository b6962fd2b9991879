// What a comparison has found: of every entry its figures, what they cost, and how far they are from
// those of its baseline on the same seeds.

import { type Comparison, standings } from './comparison.js'
import type { Entry } from './entries.js'
import { figureRun } from './entries.js'
import type { Result } from './ledger.js'
import { type Difference, deviation, mean, pairedDifference } from './statistics.js'
import type { Standing, Trial } from './tuning.js'
import type { Values } from './values.js'

export interface EntryReport {
  label: string
  values: Values
  orientation: boolean
  /** What the tuning has chosen, and what it has tried. */
  tuned?: Values
  trials?: Trial[]
  /** Those that have a figure. */
  seeds: number[]
  /** Shares 0..1 of the test images, by seed. */
  top1: number[]
  /** Null without a figure. */
  mean: number | null
  /** Of the sample, n - 1; null for fewer than two seeds. */
  sd: number | null
  /** Processor seconds of one run, the mean. */
  seconds: number | null
  /** The largest of all runs. */
  peakBytes: number | null
  /** The label of the entry that it is compared to. */
  baseline?: string
  /** Of the shares, on the seeds that both have. Left out for a baseline. */
  difference?: Difference
  published?: { top1: number; source: string }
}

export interface CompareReport {
  name: string
  about?: string
  entries: EntryReport[]
  failed: { values: Values; seed: number; error: string }[]
  /** How many differences the entries hold. */
  comparisons: number
  /** Where the figures were made: processors, and versions. More than one: seconds do not compare. */
  machines: string[]
  versions: string[]
}

export function reportOf(comparison: Comparison): CompareReport {
  const { study, failures } = comparison
  const all = standings(comparison)
  const runs = new Map(
    [...all].map(([entry, { chosen }]) => [entry, runsOf(comparison, entry, chosen)]),
  )
  const results = [...runs.values()].flatMap((found) => [...found.values()])
  const entries = [...all].map(([entry, standing]) => entryReport(entry, standing, runs))
  return {
    name: study.name,
    ...(study.about && { about: study.about }),
    entries,
    failed: [
      ...[...failures.values()].map(({ run, error }) => ({
        values: { ...run.entry.values, ...run.point },
        seed: run.seed,
        error,
      })),
      ...[...all].flatMap(([entry, standing]) => notFinite(entry, standing, runs.get(entry))),
    ],
    comparisons: entries.filter(({ difference }) => difference).length,
    machines: different(results, ({ machine }) => `${machine.processor}, ${machine.cores} cores`),
    versions: different(
      results,
      ({ versions }) =>
        `mcloss ${versions.mcloss}, LibTorch ${versions.libtorch}, Node.js ${versions.node}`,
    ),
  }
}

/** The finished runs of an entry by seed. */
function runsOf({ ledger }: Comparison, entry: Entry, chosen: Values | undefined) {
  const found = new Map<number, Result>()
  for (const seed of chosen ? entry.seeds : []) {
    const result = ledger.find(figureRun(entry, chosen as Values, seed))
    if (result) found.set(seed, result)
  }
  return found
}

function entryReport(
  entry: Entry,
  { chosen, trials }: Standing,
  runs: Map<Entry, Map<number, Result>>,
): EntryReport {
  const { label, values, orientation, baseline, published } = entry
  const [own, other] = [top1Of(runs.get(entry)), top1Of(baseline && runs.get(baseline))]
  const top1 = [...own.values()]
  const finished = [...(runs.get(entry)?.values() ?? [])]
  const both = [...own.keys()].filter((seed) => other.has(seed))
  const pair = (of: Map<number, number>) => both.map((seed) => of.get(seed) as number)
  return {
    ...{ label, values, orientation },
    ...(chosen && Object.keys(chosen).length > 0 && { tuned: chosen }),
    ...(trials.length > 0 && { trials }),
    seeds: [...own.keys()],
    top1,
    mean: top1.length > 0 ? mean(top1) : null,
    sd: deviation(top1),
    seconds: finished.length > 0 ? mean(finished.map(({ seconds }) => seconds)) : null,
    peakBytes: finished.length > 0 ? Math.max(...finished.map(({ peakBytes }) => peakBytes)) : null,
    ...(baseline && { baseline: baseline.label }),
    ...(baseline &&
      baseline !== entry &&
      both.length > 0 && { difference: pairedDifference(pair(own), pair(other)) }),
    ...(published && { published }),
  }
}

function top1Of(results: Map<number, Result> | undefined): Map<number, number> {
  const found = [...(results ?? [])].flatMap(([seed, { figures }]): [number, number][] =>
    figures ? [[seed, figures.top1]] : [],
  )
  return new Map(found)
}

const WORDS = 'E_NUMERICS: the figures were not finite'

/** Runs that have ended without figures, and would again. */
function notFinite(
  { values, seeds }: Entry,
  { missing, chosen }: Standing,
  results: Map<number, Result> | undefined,
): CompareReport['failed'] {
  if (!chosen && missing.length === 0) {
    return seeds.map((seed) => ({ values, seed, error: `${WORDS} in every trial of the tuning` }))
  }
  return [...(results ?? [])].flatMap(([seed, { figures }]) =>
    figures ? [] : [{ values: { ...values, ...chosen }, seed, error: WORDS }],
  )
}

const different = (results: Result[], words: (result: Result) => string) => [
  ...new Set(results.map(words)),
]
