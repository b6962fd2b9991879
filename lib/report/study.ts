// The folder of a comparison, read for a report: its table and, of each entry, one run.

import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { keyOf, labelOf } from '../compare/entries.js'
import type { CompareReport } from '../compare/report.js'
import { unlessMissing } from '../files/system-errors.js'
import { type RunRecords, readRun } from './run.js'

const figure = z.number().nullable()
const table = z.looseObject({
  name: z.string(),
  entries: z.array(
    z.looseObject({
      ...{ label: z.string(), seeds: z.array(z.number()), mean: figure, sd: figure },
      ...{ seconds: figure, baseline: z.string().optional() },
      tuned: z.record(z.string(), z.unknown()).optional(),
      difference: z.looseObject({ mean: z.number(), low: figure, high: figure }).optional(),
    }),
  ),
  failed: z.array(z.looseObject({ seed: z.number(), error: z.string() })),
  comparisons: z.number(),
})
const line = z.looseObject({
  ...{ hash: z.string(), seed: z.number(), kind: z.string(), label: z.string() },
})

export interface StudyRecords {
  report: CompareReport
  /** Of each entry the run of its lowest seed, where its folder is there. */
  runs: RunRecords[]
  notes: string[]
}

/** Undefined for a folder that holds no comparison. @throws McLossError E_IO */
export async function readStudyFolder(given: string): Promise<StudyRecords | undefined> {
  const dir = resolve(given)
  const what = `report: ${dir} cannot be read`
  for (const file of (await unlessMissing(readdir(dir), 'E_IO', what)) ?? []) {
    if (!file.endsWith('.json')) continue
    const report = await jsonIn(join(dir, file))
    if (report) return { report, ...(await runsOf(dir, report)) }
  }
  return undefined
}

async function jsonIn(path: string): Promise<CompareReport | undefined> {
  try {
    return table.parse(JSON.parse(await readFile(path, 'utf8'))) as unknown as CompareReport
  } catch {
    return undefined // another file
  }
}

async function runsOf(dir: string, report: CompareReport) {
  const path = join(dir, `${report.name}.jsonl`)
  const what = `report: ${path} cannot be read`
  const text = (await unlessMissing(readFile(path, 'utf8'), 'E_IO', what)) ?? ''
  const results = text.split('\n').flatMap(resultIn)
  const runs: RunRecords[] = []
  const notes: string[] = []
  for (const { label, seeds, tuned } of report.entries) {
    const itsLabel = labelOf(label, tuned)
    const own = results.filter((one) => one.kind === 'figure' && one.label === itsLabel)
    const [first] = own.sort((a, b) => a.seed - b.seed)
    const name = first && `${label}, seed ${first.seed}`
    const runDir = first && join(dir, 'runs', keyOf(first), 'run')
    const run = runDir && (await readRun(runDir, name).catch(() => undefined))
    if (run) runs.push(run)
    else if (seeds.length > 0) notes.push(`${label}: no run folder is there, so it has no curves.`)
  }
  return { runs, notes }
}

function resultIn(text: string): z.output<typeof line>[] {
  try {
    return [line.parse(JSON.parse(text))]
  } catch {
    return []
  }
}
