// A comparison: the runs of a study that are not there yet, a few at a time, each in a process of its
// own; then the report. Whatever ends it, finished runs are kept, and the next call does the others.

import { forEachOf } from '../data/pool.js'
import { McLossError, reasonOf } from '../errors.js'
import { physicalCores } from '../machine.js'
import { runToEnd, tidy } from './child.js'
import {
  type Comparison,
  configOf,
  missingRuns,
  openData,
  runDirOf,
  withComparison,
} from './comparison.js'
import { keyOf, labelOf, type Run } from './entries.js'
import type { Outcome, Result } from './ledger.js'
import { type CompareReport, reportOf } from './report.js'
import type { Study } from './study.js'

export interface CompareOptions {
  /** Folder of NAME.jsonl and of the run folders. */
  out: string
  /** Runs at a time; no figure depends on it. */
  jobs: number
  /** Ends the runs, which are saved, and rejects with E_ABORTED. */
  signal?: AbortSignal
  onEvent: (event: CompareEvent) => void
}

/** `lacking`: how many runs of the study are still to be done. */
export type CompareEvent =
  | { type: 'notice'; message: string }
  | { type: 'run'; result: Result; lacking: number }
  | { type: 'failed'; label: string; seed: number; error: string; lacking: number }

/**
 * Runs what is missing of a study. A run that fails is told, and what depends on it is not begun; the
 * others go on.
 *
 * @throws McLossError E_CONFIG, E_BUSY, E_DATA before a run is begun; E_IO where a finished run cannot
 * be kept; E_ABORTED.
 */
export function compare(study: Study, options: CompareOptions): Promise<CompareReport> {
  const { out, jobs, signal, onEvent } = options
  return withComparison(study, out, async (comparison) => {
    const first = missingRuns(comparison).now
    for (const message of noticesOf(comparison, first, jobs)) onEvent({ type: 'notice', message })
    await openData(comparison, first, signal)
    for (let runs = first; runs.length > 0; runs = missingRuns(comparison).now) {
      await forEachOf(runs, jobs, signal, (run) => finish(comparison, run, options))
      if (signal?.aborted) throw stopped(comparison)
    }
    return reportOf(comparison)
  })
}

async function finish(comparison: Comparison, run: Run, options: CompareOptions): Promise<void> {
  const { signal, onEvent } = options
  const { kind, hash, seed } = run
  const label = labelOf(run.entry.label, run.point)
  const runDir = runDirOf(comparison, run)
  const lacking = () => {
    const { now, later } = missingRuns(comparison)
    return now.length + later
  }
  const request = { kind, config: configOf(comparison, run), runDir }
  let outcome: Outcome
  try {
    outcome = await runToEnd(request, signal)
  } catch (error) {
    if (signal?.aborted) return
    comparison.failures.set(keyOf(run), { run, error: reasonOf(error) })
    onEvent({ type: 'failed', label, seed, error: reasonOf(error), lacking: lacking() })
    return
  }
  const result = { hash, seed, kind, label, ...outcome }
  await comparison.claim.requireHeld()
  await comparison.ledger.append(result)
  await tidy(runDir)
  onEvent({ type: 'run', result, lacking: lacking() })
}

function noticesOf({ ledger, entries, study }: Comparison, runs: Run[], jobs: number): string[] {
  const notices = ledger.notice ? [ledger.notice] : []
  const threads = Math.max(0, ...runs.map(({ config }) => config.threads))
  const cores = physicalCores()
  if (jobs * threads > cores) {
    notices.push(
      `compare: ${jobs} runs at a time with ${threads} threads each are more than the ${cores} cores: ` +
        'the figures are the same, but each run takes longer.',
    )
  }
  for (const { label, points } of study.tune === undefined ? [] : entries) {
    if (points.length >= (study.tune ?? 0)) continue
    notices.push(
      `compare: the grid of '${label}' has ${points.length} of the ${study.tune} points that the ` +
        `tuning asks for${points.length === 1 ? ', so nothing is tuned' : '; all are tried'}.`,
    )
  }
  return notices
}

function stopped({ out, study }: Comparison): McLossError {
  return new McLossError(
    'E_ABORTED',
    `compare: stopped; the finished runs are in ${study.name}.jsonl of ${out}, those that ran are ` +
      'saved. The same command goes on.',
  )
}
