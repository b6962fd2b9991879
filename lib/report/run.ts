// What a run folder holds, read for a report. What is missing or damaged is told in `notes`, a sentence
// each, and the rest is read all the same.

import { readdir, readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { McLossError, reasonOf } from '../errors.js'
import type { EpochEvent, StartEvent, TestEvent } from '../events.js'
import { faultAt, unlessMissing } from '../files/system-errors.js'
import { textOf } from '../files/text.js'
import { mapsAmong, mapsFile, mapsFolder } from '../records/map-files.js'
import { readJournal } from './journal.js'

const perClass = z.array(
  z.object({
    class: z.string(),
    n: z.number(),
    correct: z.number(),
    accuracy: z.number().nullable(),
    mostConfusedWith: z.string().nullable(),
    confusedCount: z.number(),
  }),
)
const confusion = z.object({ classes: z.array(z.string()), counts: z.array(z.array(z.number())) })
const mistakes = z.array(
  z.object({
    path: z.string(),
    label: z.string(),
    predicted: z.string(),
    probability: z.number(),
    labelProbability: z.number(),
  }),
)
const entries = z.array(z.looseObject({ started: z.string() }))
const settings = z.looseObject({})

export type ClassFigures = z.output<typeof perClass>[number]
export type Confusion = z.output<typeof confusion>
export type Mistake = z.output<typeof mistakes>[number]
export type Settings = z.output<typeof settings>

export interface RunRecords {
  /** What the report calls it. */
  name: string
  dir: string
  config: Settings | undefined
  start: StartEvent | undefined
  /** In order; of an epoch that was trained again the newest. */
  epochs: EpochEvent[]
  /** From 0. */
  bestEpoch: number | undefined
  /** Of a run that picks on validation images. */
  test: TestEvent | undefined
  warnings: string[]
  /** An entry for each start. */
  environment: z.output<typeof entries>
  perClass: ClassFigures[] | undefined
  confusion: Confusion | undefined
  mistakes: Mistake[] | undefined
  /** Paths, in the order of their epochs. */
  maps: string[]
  notes: string[]
}

/**
 * @throws McLossError E_DATA for a folder that is no run's; E_IO where it is there, but cannot be
 * read.
 */
export async function readRun(given: string, name = basename(resolve(given))): Promise<RunRecords> {
  const dir = resolve(given)
  const notes: string[] = []
  const read = async <T>(file: string, shape: z.ZodType<T>, without: string) => {
    const path = join(dir, file)
    const bytes = await unlessMissing(readFile(path), 'E_IO', `report: ${path} cannot be read`)
    if (!bytes) notes.push(`${file} is not there: ${without}`)
    return bytes && parsed(bytes, path, shape, (why) => notes.push(`${file} ${why}: ${without}`))
  }
  const journal = await readJournal(join(dir, 'metrics.jsonl'))
  const config = await read('config.json', settings, 'no configuration is shown.')
  if (!config && !journal) throw noRun(dir)
  notes.push(...(journal?.notes ?? ['metrics.jsonl is not there: there are no curves.']))
  const { start, epochs = [], bestEpoch, test, warnings = [] } = journal ?? {}
  notes.push(...stateNotes(start, epochs, test))
  const environment = await read('environment.json', entries, 'the machine is not known.')
  const hasReport = faultAt(join(dir, 'report')) === undefined
  if (!hasReport) {
    notes.push(
      'report/ is not there: figures by class, confusions and mistakes are left out. A run writes it ' +
        `at its best epoch; so does mcloss eval --weights RUN --report RUN/report.`,
    )
  }
  const table = <T>(file: string, shape: z.ZodType<T>, without: string) =>
    hasReport ? read(`report/${file}.json`, shape, without) : undefined
  return {
    ...{ name, dir, config, start, epochs, bestEpoch, test, warnings },
    environment: environment ?? [],
    perClass: await table('per-class', perClass, 'figures by class are left out.'),
    confusion: await table('confusion', confusion, 'confusions are left out.'),
    mistakes: await table('mistakes', mistakes, 'mistakes are left out.'),
    maps: await mapsIn(mapsFolder(dir)),
    notes,
  }
}

function noRun(dir: string): McLossError {
  const fault = faultAt(dir)
  return new McLossError(
    'E_DATA',
    `report: expected a run folder, with config.json or metrics.jsonl in it, or the folder of a ` +
      `comparison, but ${dir} ${fault ? `cannot be used: ${fault}` : 'has neither'}. mcloss train ` +
      'prints the folder of its run.',
  )
}

function parsed<T>(
  bytes: Buffer,
  path: string,
  shape: z.ZodType<T>,
  onFault: (why: string) => void,
): T | undefined {
  try {
    return shape.parse(JSON.parse(textOf(bytes, { file: path, reader: 'report', code: 'E_DATA' })))
  } catch (error) {
    const why = error instanceof z.ZodError ? 'other keys or values' : reasonOf(error)
    onFault(`is not as a run writes it (${why})`)
    return undefined
  }
}

/** What a run that is not finished lacks. */
function stateNotes(
  start: StartEvent | undefined,
  epochs: EpochEvent[],
  test: TestEvent | undefined,
): string[] {
  const last = epochs.at(-1)
  const all = last?.epochs ?? start?.epochs
  if (!last) return start ? [`No epoch of ${all} is finished yet.`] : []
  if (all !== undefined && last.epoch + 1 < all) {
    return [
      `${last.epoch + 1} of ${all} epochs are done: the run goes on, or was stopped. mcloss train --resume ` +
        'RUN goes on with one that was stopped.',
    ]
  }
  return start?.bestPickedOn === 'validation' && !test
    ? ['The test split has not been read: the run ended before its last evaluation.']
    : []
}

async function mapsIn(folder: string): Promise<string[]> {
  const what = `report: ${folder} cannot be read`
  const names = (await unlessMissing(readdir(folder), 'E_IO', what)) ?? []
  return mapsAmong(names).map((epochs) => join(folder, mapsFile(epochs)))
}
