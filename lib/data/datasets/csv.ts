// A list of one's own: a CSV file (RFC 4180, UTF-8) whose header names the columns path, class and
// split, in any order; other columns are left alone. Paths are relative to the file's folder, split
// is train or test. Classes are numbered in the order of their names by UTF-16 code units, as
// Array.sort does: 'B' before 'a', '10' before '9'.

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { McLossError } from '../../errors.js'
import { realPath } from '../../files/names.js'
import { systemReason } from '../../files/system-errors.js'
import type { Dataset, Split } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { parseCsv } from './lists/csv-text.js'
import { listedFile, requireFiles } from './lists/listed-files.js'
import { placeError } from './lists/place.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'
import { readText } from './lists/text-list.js'

const LAYOUT =
  'Expected a .csv file, or a folder with list.csv, whose first line names the columns path, class ' +
  'and split.'

/**
 * Reads the list and checks that every listed file is there; no image is opened. `root` is the file,
 * or a folder that holds list.csv. Samples keep the order of the list. For a test split alone no
 * class needs training images.
 *
 * @throws McLossError E_DATA naming file and line for a list that is no CSV, a missing column, a
 * split that is neither train nor test, a class without training images, a path that leaves the
 * folder, is listed twice or is of no file.
 */
export async function csv(options: ReaderOptions): Promise<Dataset> {
  const { root, checkFiles, split: wanted, knownClasses } = options
  const file = await findList(root)
  const folder = dirname(file)
  const [header, ...records] = parseCsv(await readText(folder, file), file)
  if (header === undefined) throw new McLossError('E_DATA', `csv: ${file} is empty. ${LAYOUT}`)
  const column = (name: string) => {
    const names = header.fields.map((field) => field.trim())
    if (names.filter((other) => other === name).length === 1) return names.indexOf(name)
    const line = header.fields.join(',')
    const isOther = names.length === 1 && /[;\t]/.test(line)
    const commas = isOther ? ', with commas between the columns' : ''
    throw placeError(header.place, `one column ${name}${commas}`, line)
  }
  const [pathAt, classAt, splitAt] = [column('path'), column('class'), column('split')]
  const rows = records.map(({ fields, place }) => {
    const split = fields[splitAt] as string
    if (split !== 'train' && split !== 'test') throw placeError(place, 'train or test', split)
    const name = fields[classAt] as string
    if (name === '') throw placeError(place, 'a class', name)
    if (name !== name.trim()) throw placeError(place, 'a class without blanks around it', name)
    return { ...listedFile(folder, fields[pathAt] as string, place), name, split } as const
  })
  const used = rows.filter(({ split }) => splitsOf(wanted).includes(split))
  const classes = knownClasses
    ? [...knownClasses]
    : [...new Set(rows.map(({ name }) => name))].sort()
  const labels = new Map(classes.map((name, label) => [name, label]))
  const unknown = used.find(({ name }) => !labels.has(name))
  if (unknown) throw placeError(unknown.place, "one of the model's classes", unknown.name)
  const trained = new Set(rows.filter(({ split }) => split === 'train').map(({ name }) => name))
  const untrained = rows.find(({ name }) => !trained.has(name))
  if (untrained && wanted !== 'test')
    throw placeError(untrained.place, 'a class that has training images', untrained.name)
  const samplesOf = (one: Split) =>
    used
      .filter(({ split }) => split === one)
      .map(({ path, name }) => ({ path, label: labels.get(name) as number }))
  const dataset: Dataset = {
    name: 'csv',
    classes,
    train: samplesOf('train'),
    test: samplesOf('test'),
  }
  await requireFiles(folder, used, checkFiles)
  checkDataset(dataset, wanted)
  return dataset
}

/** The real path of the list. */
async function findList(root: string): Promise<string> {
  const refuse = (what: string, cause?: unknown): never => {
    throw new McLossError('E_DATA', `csv: nothing to read at ${root}: ${what} ${LAYOUT}`, { cause })
  }
  const unreadable = (cause: unknown) => refuse(systemReason(cause), cause)
  const named = await realPath(root).catch(unreadable)
  const info = await stat(named).catch(unreadable)
  if (info.isFile()) return named
  return info.isDirectory() ? join(named, 'list.csv') : refuse('it is neither a file nor a folder.')
}
