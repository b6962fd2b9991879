// One self-contained HTML file for a run, or for several side by side.

import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, record, text } from '../arguments.js'
import { McLossError } from '../errors.js'
import { type Content, contentHtml } from './content.js'
import { chartsOf } from './curves.js'
import { examplesOf } from './examples.js'
import { checkPlace, writePage } from './file.js'
import { pageOf } from './page.js'
import { nearestPairs } from './pairs.js'
import { type RunRecords, readRun } from './run.js'
import type { Pictures } from './sections/parts.js'
import { readStudyFolder, type StudyRecords } from './study.js'
import { type Thumbnails, thumbnailsOf } from './thumbnails.js'

export interface ReportOptions {
  /** Run folders, or one folder of a comparison. */
  runs: readonly string[]
  /** The file. Default: report.html in the one folder, or for several runs in the current one. */
  out?: string | undefined
}

export interface Report {
  /** Absolute. */
  path: string
  bytes: number
  /** An earlier report was there. */
  replaced: boolean
  /** What is missing in it, a sentence each; the page says so too. */
  notes: string[]
}

export const MAX_BYTES = 5_000_000
const PAIRS = 12
const EXAMPLES = 2 // pictures of a class
const MISTAKES = { one: 50, several: 12 } // of a run
const MAPS = 6 // of a run
const MAP_SHARE = 0.4 // of what is left for pictures

const shape = record({ runs: z.array(text).min(1), out: text.optional() })

/**
 * @throws McLossError E_DATA for a folder that holds no run, E_ARGUMENT for a file at `out` that is no
 * report or for more runs than a page can hold, E_IO.
 */
export async function makeReport(options: ReportOptions): Promise<Report> {
  checkArgument('makeReport', 'options', shape, options)
  const { runs: given } = options
  const path = resolve(
    options.out ?? join(given.length === 1 ? (given[0] as string) : '.', 'report.html'),
  )
  const { runs, study, notes } = await recordsOf(given)
  const replaced = await checkPlace(path)
  const content = await contentOf(runs, study, notes)
  const made = await pageWithPictures(content)
  await writePage(path, made.page)
  const ofRuns = runs.flatMap((run) => run.notes.map((note) => `${run.name}: ${note}`))
  const bytes = Buffer.byteLength(made.page)
  return { path, bytes, replaced, notes: [...made.notes, ...ofRuns] }
}

async function recordsOf(
  given: readonly string[],
): Promise<Omit<StudyRecords, 'report'> & { study?: StudyRecords['report'] }> {
  const [first] = given
  const found = given.length === 1 ? await readStudyFolder(first as string) : undefined
  if (found) return { runs: found.runs, study: found.report, notes: found.notes }
  const twice = given.find(
    (one, at) => given.findIndex((other) => resolve(other) === resolve(one)) < at,
  )
  if (twice !== undefined) {
    throw new McLossError('E_ARGUMENT', `report: ${twice} is given twice. Give each run once.`)
  }
  const runs: RunRecords[] = []
  for (const one of given) runs.push(await readRun(one))
  return { runs: distinct(runs), notes: [] }
}

/** Runs of one name in several folders bear those too. */
function distinct(runs: RunRecords[]): RunRecords[] {
  const isShared = ({ name }: RunRecords) => runs.filter((run) => run.name === name).length > 1
  return runs.map((run) => (isShared(run) ? { ...run, name: run.dir } : run))
}

async function contentOf(
  runs: RunRecords[],
  study: StudyRecords['report'] | undefined,
  notes: string[],
): Promise<Content> {
  const pairs = nearestPairs(
    runs.map(({ confusion }) => confusion),
    PAIRS,
  )
  const mixed = runs.filter(({ mistakes }) => pairs.length > 0 || mistakes?.length)
  const configs = mixed.map(({ config }) => config)
  const examples = await examplesOf(configs, EXAMPLES)
  const name = study?.name ?? runs.map((run) => basename(run.name)).join(', ')
  return {
    title: name.length > 200 ? `${runs.length} runs` : name,
    ...{ runs, study, charts: chartsOf(runs), pairs, examples },
    notes: [...notes, ...examples.notes],
    mistakesPerRun: runs.length === 1 ? MISTAKES.one : MISTAKES.several,
    mapsPerRun: MAPS,
  }
}

/**
 * Text first; what it leaves of the page's size is for pictures, which are made small enough. Which ones
 * they are says the page itself.
 */
async function pageWithPictures(content: Content): Promise<{ page: string; notes: string[] }> {
  const { runs } = content
  const data = { runs: runs.length, charts: content.charts }
  const pageWith = (notes: readonly string[], pictures: Pictures) =>
    pageOf({
      ...{ title: content.title, body: contentHtml({ ...content, notes }, pictures), data },
      scripts: ['chart.js', 'numbers.js', 'sort.js', 'report.js'],
    })
  const wanted: Record<keyof Pictures, string[]> = { maps: [], picture: [] }
  const noted = (kind: keyof Pictures) => (path: string) => {
    wanted[kind].push(path)
    return { address: '', width: 1000, height: 1000 }
  }
  const blank = { maps: noted('maps'), picture: noted('picture') }
  const bare = Buffer.byteLength(await pageWith(content.notes, blank))
  const room = MAX_BYTES - bare - NOTE_BYTES
  if (room < 0) throw tooLarge(bare, runs.length)
  const maps = await thumbnailsOf(wanted.maps, {
    ...{ sides: [1200, 900, 600, 400], quality: 85, budgetBytes: MAP_SHARE * room },
  })
  const pictures = await thumbnailsOf(wanted.picture, {
    ...{ sides: [160, 128, 96, 64, 48], quality: 80, budgetBytes: (1 - MAP_SHARE) * room },
  })
  const notes = [
    ...content.notes,
    ...pictureNotes(maps, 'channel maps'),
    ...pictureNotes(pictures, 'pictures'),
  ]
  return { page: await pageWith(notes, { maps: maps.of, picture: pictures.of }), notes }
}

const NOTE_BYTES = 20_000 // for what is then said of pictures

function pictureNotes({ unreadable, leftOut }: Thumbnails, what: string): string[] {
  const [first] = unreadable
  const lost =
    first && `${unreadable.size} ${what} are not shown, the first ${first[0]}: it ${first[1]}.`
  const large = leftOut > 0 && `${leftOut} ${what} are left out, so that the file stays below 5 MB.`
  return [lost, large].filter((note): note is string => typeof note === 'string')
}

function tooLarge(bytes: number, runs: number): McLossError {
  return new McLossError(
    'E_ARGUMENT',
    `report: expected a page of at most ${MAX_BYTES / 1e6} MB, but the text of ${runs} runs alone has ` +
      `${(bytes / 1e6).toFixed(1)} MB. Name fewer runs.`,
  )
}
