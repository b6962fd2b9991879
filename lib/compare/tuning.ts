// Where an entry stands: the runs that it lacks now, and what its tuning has chosen. The trials are a run
// each on one seed; the two best are run on a second one, and the better mean of the two wins.

import { type Entry, figureRun, type Run, trialRun } from './entries.js'
import type { Result } from './ledger.js'
import { mean } from './statistics.js'
import { tuningSeeds } from './study.js'
import type { Values } from './values.js'

export interface Trial {
  values: Values
  /** On validation images; by tuning seed. Empty for a trial whose figures were not finite. */
  top1: number[]
}

export interface Standing {
  /** Not there yet; the runs that they decide come after them. */
  missing: Run[]
  /** How many runs come after those. */
  later: number
  /** Once the tuning is done. */
  chosen?: Values
  trials: Trial[]
}

export type Find = (run: Run) => Result | undefined

export function standingOf(entry: Entry, find: Find, validation: number): Standing {
  const { seeds, points } = entry
  const [first, second] = tuningSeeds
  const figuresOf = (chosen: Values, trials: Trial[]): Standing => {
    const runs = seeds.map((seed) => figureRun(entry, chosen, seed))
    return { missing: runs.filter((run) => !find(run)), later: 0, chosen, trials }
  }
  if (points.length === 1) return figuresOf(points[0] as Values, [])

  const trials = points.map((point) => trialRun(entry, point, first, validation))
  const missing = trials.filter((run) => !find(run))
  if (missing.length > 0) return { missing, later: 2 + seeds.length, trials: [] }
  const best = ranked(
    trials.map((run) => [run]),
    find,
  )
  const again = best
    .slice(0, 2)
    .map(([run]) => trialRun(entry, (run as Run).point, second, validation))
  const lacking = again.filter((run) => !find(run))
  if (lacking.length > 0) return { missing: lacking, later: seeds.length, trials: [] }

  const both = again.map((run, i) => [...(best[i] as Run[]), run])
  const report = trials.map((run) => ({
    values: run.point,
    top1: (both.find(([one]) => one === run) ?? [run]).flatMap((one) => top1Of(one, find)),
  }))
  const [winner] = ranked(both, find)
  if (!winner) return { missing: [], later: 0, trials: report }
  return figuresOf((winner[0] as Run).point, report)
}

/** Trials of one recipe each, the best mean top-1 first, then the lowest loss; none that failed. */
function ranked(recipes: Run[][], find: Find): Run[][] {
  return recipes
    .map((runs) => ({ runs, figures: runs.flatMap((run) => find(run)?.figures ?? []) }))
    .filter(({ runs, figures }) => figures.length === runs.length)
    .map(({ runs, figures }) => ({
      runs,
      top1: mean(figures.map(({ top1 }) => top1)),
      loss: mean(figures.map(({ loss }) => loss)),
    }))
    .sort((a, b) => b.top1 - a.top1 || a.loss - b.loss)
    .map(({ runs }) => runs)
}

function top1Of(run: Run, find: Find): number[] {
  const figures = find(run)?.figures
  return figures ? [figures.top1] : []
}
