// What a comparison will take before it is begun: its runs, and the processor time of them from a few
// timed steps of every entry.

import { timed } from './child.js'
import { configOf, missingRuns, openData, standings, withComparison } from './comparison.js'
import { type Entry, figureRun } from './entries.js'
import type { Study } from './study.js'

export interface Plan {
  /** Runs of the whole study, and how many of them are there. */
  runs: number
  done: number
  /** Of the runs that are missing. */
  coreHours: number
  entries: { label: string; missing: number; secondsPerRun: number }[]
}

export interface PlanOptions {
  out: string
  signal?: AbortSignal
  onEntry: (label: string) => void
}

/**
 * Times two steps and then eight more of every entry that lacks runs, and an evaluation of up to four
 * batches, one entry at a time. Draws and decodes the images, which a comparison would do too. A trial
 * of the tuning counts as a run for the table, which trains on more images.
 *
 * @throws McLossError as compare.
 */
export function plan(study: Study, { out, signal, onEntry }: PlanOptions): Promise<Plan> {
  return withComparison(study, out, async (comparison) => {
    await openData(comparison, missingRuns(comparison).now, signal)
    const entries: Plan['entries'] = []
    for (const [entry, { missing, later }] of standings(comparison)) {
      if (missing.length === 0) {
        entries.push({ label: entry.label, missing: 0, secondsPerRun: 0 })
        continue
      }
      const run = figureRun(entry, entry.points[0] ?? {}, entry.seeds[0] ?? 0)
      onEntry(entry.label)
      const { start, steps, evaluation } = await timed(configOf(comparison, run), signal)
      entries.push({
        label: entry.label,
        missing: missing.length + later,
        secondsPerRun: start + steps + evaluation,
      })
    }
    const lacking = entries.reduce((sum, { missing }) => sum + missing, 0)
    const runs = entries.reduce((sum, _, at) => sum + runsOf(comparison.entries[at] as Entry), 0)
    const seconds = entries.reduce((sum, one) => sum + one.missing * one.secondsPerRun, 0)
    return { runs, done: runs - lacking, coreHours: seconds / 3600, entries }
  })
}

/** Trials, the two best again, and the figures. */
function runsOf({ points, seeds }: Entry): number {
  return seeds.length + (points.length > 1 ? points.length + 2 : 0)
}
