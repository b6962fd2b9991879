// A study in its folder: what is there of it, what is missing, and the configuration of each run.

import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type ConfigInput, configToJson } from '../config/index.js'
import { openDataset, readerOptions } from '../data/datasets/index.js'
import { McLossError, reasonOf } from '../errors.js'
import { systemReason } from '../files/system-errors.js'
import { Claim } from '../train/claim.js'
import { type Entry, entriesOf, figureRun, keyOf, type Run } from './entries.js'
import { Ledger } from './ledger.js'
import { canonical, hashOf } from './recipe.js'
import type { Study } from './study.js'
import { type Standing, standingOf } from './tuning.js'

export interface Comparison {
  study: Study
  entries: Entry[]
  ledger: Ledger
  claim: Claim
  out: string
  /** Birds that are drawn in several ways have a folder for each way, beside data.root. */
  drawsInSeveralWays: boolean
  /** What kept a run from its end in this call, by the run's key. */
  failures: Map<string, { run: Run; error: string }>
}

/**
 * Opens a folder, which takes one comparison at a time, for `use`.
 *
 * @throws McLossError E_CONFIG, E_BUSY, E_IO, E_DATA for a file of runs that holds something else.
 */
export async function withComparison<T>(
  study: Study,
  folder: string,
  use: (comparison: Comparison) => Promise<T>,
): Promise<T> {
  const entries = entriesOf(study)
  const out = resolve(folder)
  const claim = new Claim()
  try {
    await claimed(claim, out)
    const ledger = await Ledger.open(join(out, `${study.name}.jsonl`))
    const drawings = entries.flatMap((entry) =>
      entry.points.map((point) => drawingOf(figureRun(entry, point, 0).config.data)),
    )
    const drawsInSeveralWays = new Set(drawings).size > 1
    const failures = new Map()
    return await use({ study, entries, ledger, claim, out, drawsInSeveralWays, failures })
  } finally {
    await claim.release()
  }
}

async function claimed(claim: Claim, out: string): Promise<void> {
  await mkdir(out, { recursive: true }).catch((cause) => {
    throw new McLossError(
      'E_IO',
      `compare: ${out} cannot be made: ${systemReason(cause)} out can name another folder.`,
      { cause },
    )
  })
  await claim.take(out).catch((cause) => {
    throw new McLossError(
      cause instanceof McLossError ? cause.code : 'E_IO',
      `compare: a folder takes one comparison at a time. ${reasonOf(cause)}`,
      { cause },
    )
  })
}

export function standings({ study, entries, ledger }: Comparison): Map<Entry, Standing> {
  const find = (run: Run) => ledger.find(run)
  return new Map(entries.map((entry) => [entry, standingOf(entry, find, study.validation)]))
}

/** What can be begun now; `later`: how many runs wait for these. Two entries may share a run. */
export function missingRuns(comparison: Comparison): { now: Run[]; later: number } {
  const now = new Map<string, Run>()
  let later = 0
  for (const { missing, later: after } of standings(comparison).values()) {
    const open = missing.filter((run) => !comparison.failures.has(keyOf(run)))
    for (const run of open) now.set(keyOf(run), run)
    if (open.length === missing.length) later += after
  }
  return { now: [...now.values()], later }
}

/** In a folder that the run's process claims. */
export const runDirOf = ({ out }: Comparison, run: Run) => join(out, 'runs', keyOf(run), 'run')

/** The configuration of a run, with its own folder. */
export function configOf(comparison: Comparison, run: Run): ConfigInput {
  const config = configToJson(run.config) as ConfigInput
  const root = rootOf(comparison, run.config)
  const storeDir = config.data.storeDir ?? join(comparison.out, 'runs', 'stores')
  const runDir = runDirOf(comparison, run)
  return {
    ...config,
    out: dirname(runDir),
    name: basename(runDir),
    data: { ...config.data, storeDir, ...(root && { root }) },
  }
}

function rootOf({ drawsInSeveralWays }: Comparison, { data }: Run['config']): string | undefined {
  if (data.name !== 'drawn-birds' || !drawsInSeveralWays) return data.root
  return `${data.root}-${hashOf(drawingOf(data)).slice(0, 8)}`
}

function drawingOf(data: Run['config']['data']): string {
  const keys = Object.keys(readerOptions.get(data.name) ?? {}) as (keyof typeof data)[]
  return canonical([data.root, ...keys.map((key) => data[key] ?? null)])
}

/**
 * Opens the data of these runs: a wrong root is refused before any run, and birds are drawn once.
 *
 * @throws McLossError E_DATA, E_IO, E_ABORTED.
 */
export async function openData(
  comparison: Comparison,
  runs: Run[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const all = runs.map((run) => ({ ...run.config.data, root: rootOf(comparison, run.config) }))
  const different = new Map(all.map((data) => [drawingOf(data as Run['config']['data']), data]))
  for (const data of different.values()) await openDataset({ ...data, signal })
}
