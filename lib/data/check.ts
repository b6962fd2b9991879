// What a data set on disk is like, file by file: missing, unreadable, damaged, twice there; sizes,
// colours, class balance. Gathers only; lib/cli/reports/data.ts puts it into words.

import { realpath, stat } from 'node:fs/promises'
import { dirname, resolve, sep } from 'node:path'
import { z } from 'zod'
import { callback, checkArgument, record, signal, text } from '../arguments.js'
import { McLossError } from '../errors.js'
import { systemFault } from '../files/system-errors.js'
import { type Dataset, type Sample, SPLITS, type Split } from './batch.js'
import { type DatasetOptions, openDataset } from './datasets/index.js'
import { datasetShape } from './datasets/lists/check.js'
import { describe, type ImageInfo } from './images.js'
import { forEachOf } from './pool.js'

type NotAsked = 'name' | 'checkFiles' | 'split' | 'knownClasses'

export interface CheckOptions extends Omit<DatasetOptions, NotAsked> {
  /** A count that differs from the official one makes the report not ok. Default false. */
  strict?: boolean | undefined
  /** Called after each file. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

export interface DataReport {
  /** No file is missing or unreadable and, where `strict` was asked for, the counts are official. */
  ok: boolean
  name: string
  /** The folder that was given, absolute; null for a Dataset object. */
  root: string | null
  classes: number
  train: SplitReport
  test: SplitReport
  /** Different paths in both splits; each is looked at once. */
  files: number
  /** Paths of no file. */
  missing: string[]
  unreadable: FileProblem[]
  /** Files that decode with a decoder's warning: some of their pixels may be lost. */
  damaged: FileProblem[]
  /** By their area; null where no file can be decoded. */
  sizes: { smallest: FileSize; largest: FileSize } | null
  /** Files by what they store; the readable ones add up to rgb + grey + cmyk. */
  kinds: { rgb: number; grey: number; cmyk: number; alpha: number; sixteenBit: number }
  /** Files of the same bytes. */
  duplicates: { acrossSplits: Duplicates[]; withinSplit: Duplicates[] }
  /** How the counts differ from the official ones; only where `strict` was asked for. */
  countsDiffer: string | null
  /** The reader's, and what above is odd but usable, one sentence each. */
  warnings: string[]
}

export interface SplitReport {
  images: number
  /** The first of them where several are as small or large. */
  smallestClass: ClassSize
  largestClass: ClassSize
  emptyClasses: string[]
}

export interface ClassSize {
  class: string
  images: number
}

export interface FileProblem {
  path: string
  reason: string
}

export interface FileSize {
  path: string
  /** Pixels. */
  width: number
  height: number
}

export interface Duplicates {
  sameClass: boolean
  files: { path: string; split: Split; class: string }[]
}

const PARALLEL = 4 // images decoded at a time, the threads sharp works on

const optionsShape = record({
  root: text.optional(),
  dataset: datasetShape.optional(),
  strict: z.boolean().optional(),
  signal: signal.optional(),
  onProgress: callback.optional(),
})

/**
 * Opens a data set by its reader's name and looks at every file of both splits: each is read and
 * decoded once, four at a time. What is wrong with a file goes into the report and stops nothing.
 *
 * @throws McLossError E_CONFIG for an unknown name, E_DATA for lists that do not hold together,
 * E_ABORTED after an abort.
 */
export async function checkData(name: string, options: CheckOptions = {}): Promise<DataReport> {
  checkArgument('checkData', 'name', text, name)
  checkArgument('checkData', 'options', optionsShape, options)
  if (!options.dataset) checkArgument('checkData', 'options.root', text, options.root)
  const { onProgress, ...reader } = options
  const { dataset, countsDiffer } = await open(name, reader)
  const root = options.root === undefined ? null : resolve(options.root)
  const uses = usesOf(dataset)
  // Of a file in both splits one: a reader treats them alike.
  const samples = new Map(SPLITS.flatMap((split) => dataset[split].map((one) => [one.path, one])))
  const folder = root && (await folderOf(root))
  const found = await lookAtAll([...samples.values()], folder, onProgress, options.signal)
  const of = <K extends Finding['kind']>(kind: K) =>
    found.filter((one): one is Extract<Finding, { kind: K }> => one.kind === kind)
  const images = of('image')
  const missing = of('missing').map(({ path }) => path)
  const unreadable = of('unreadable').map(({ path, reason }) => ({ path, reason }))
  const damaged = images.flatMap(({ path, info }) =>
    info.damage === undefined ? [] : { path, reason: info.damage },
  )
  const report: DataReport = {
    ok: missing.length === 0 && unreadable.length === 0 && countsDiffer === null,
    name,
    root,
    classes: dataset.classes.length,
    train: splitReport(dataset, 'train'),
    test: splitReport(dataset, 'test'),
    files: samples.size,
    missing,
    unreadable,
    damaged,
    sizes: sizesOf(images),
    kinds: kindsOf(images),
    duplicates: duplicatesOf(images, uses),
    countsDiffer,
    warnings: dataset.warnings ?? [],
  }
  return { ...report, warnings: [...report.warnings, ...oddities(report)] }
}

/** The real folder of a data root; that of a CSV list is the list's. */
async function folderOf(root: string): Promise<string> {
  const real = await realpath(root)
  return (await stat(real)).isDirectory() ? real : dirname(real)
}

/** Counts that differ must not hide what else there is: such a set is opened again without strict. */
async function open(
  name: string,
  reader: Omit<CheckOptions, 'onProgress'>,
): Promise<{ dataset: Dataset; countsDiffer: string | null }> {
  const options = { ...reader, name, checkFiles: false }
  try {
    return { dataset: await openDataset(options), countsDiffer: null }
  } catch (error) {
    if (!reader.strict || !(error instanceof McLossError) || error.code !== 'E_DATA') throw error
    const dataset = await openDataset({ ...options, strict: false })
    return { dataset, countsDiffer: error.message }
  }
}

type Use = Duplicates['files'][number]

/** Where each path is listed. */
function usesOf(dataset: Dataset): Map<string, Use[]> {
  const uses = new Map<string, Use[]>()
  for (const split of SPLITS) {
    for (const { path, label } of dataset[split]) {
      const use = { path, split, class: dataset.classes[label] as string }
      const others = uses.get(path)
      if (others) others.push(use)
      else uses.set(path, [use])
    }
  }
  return uses
}

type Finding =
  | { kind: 'image'; path: string; info: ImageInfo }
  | { kind: 'unreadable'; path: string; reason: string }
  | { kind: 'missing'; path: string }
type FoundImage = Extract<Finding, { kind: 'image' }>

async function lookAtAll(
  samples: Sample[],
  root: string | null,
  onProgress: CheckOptions['onProgress'],
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const found: Finding[] = []
  let done = 0
  const isWhole = await forEachOf(samples.entries(), PARALLEL, signal, async ([index, sample]) => {
    found[index] = await lookAt(sample, root)
    onProgress?.(++done, samples.length)
  })
  if (!isWhole) throw new McLossError('E_ABORTED', 'data check: stopped by its AbortSignal.')
  return found
}

async function lookAt(sample: Sample, root: string | null): Promise<Finding> {
  const { path } = sample
  try {
    const real = await realpath(path)
    if (root !== null && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      return { kind: 'unreadable', path, reason: 'is a link that leaves the data root' }
    }
    return { kind: 'image', path, info: await describe(sample) }
  } catch (error) {
    if (error instanceof McLossError && error.code === 'E_IMAGE' && error.cause instanceof Error) {
      return { kind: 'unreadable', path, reason: error.cause.message }
    }
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (code === 'ENOENT') return { kind: 'missing', path }
    return { kind: 'unreadable', path, reason: `cannot be read: ${systemFault(error)}` }
  }
}

function splitReport(dataset: Dataset, split: Split): SplitReport {
  const counts = dataset.classes.map((name) => ({ class: name, images: 0 }))
  for (const { label } of dataset[split]) (counts[label] as ClassSize).images++
  const pick = (isBetter: (a: number, b: number) => boolean) =>
    counts.reduce((best, one) => (isBetter(one.images, best.images) ? one : best))
  return {
    images: dataset[split].length,
    smallestClass: pick((a, b) => a < b),
    largestClass: pick((a, b) => a > b),
    emptyClasses: counts.filter(({ images }) => images === 0).map((one) => one.class),
  }
}

function sizesOf(images: FoundImage[]): DataReport['sizes'] {
  let smallest: FileSize | undefined
  let largest: FileSize | undefined
  const area = ({ width, height }: FileSize) => width * height
  for (const { path, info } of images) {
    const size = { path, width: info.width, height: info.height }
    if (smallest === undefined || area(size) < area(smallest)) smallest = size
    if (largest === undefined || area(size) > area(largest)) largest = size
  }
  return smallest && largest ? { smallest, largest } : null
}

function kindsOf(images: FoundImage[]): DataReport['kinds'] {
  const kinds = { rgb: 0, grey: 0, cmyk: 0, alpha: 0, sixteenBit: 0 }
  for (const { info } of images) {
    kinds[info.colour]++
    if (info.alpha) kinds.alpha++
    if (info.bits === 16) kinds.sixteenBit++
  }
  return kinds
}

function duplicatesOf(images: FoundImage[], uses: Map<string, Use[]>): DataReport['duplicates'] {
  const byContent = new Map<string, Use[]>()
  for (const { path, info } of images) {
    const same = byContent.get(info.sha256) ?? []
    byContent.set(info.sha256, same)
    same.push(...(uses.get(path) ?? []))
  }
  const duplicates: DataReport['duplicates'] = { acrossSplits: [], withinSplit: [] }
  for (const files of byContent.values()) {
    if (files.length === 1) continue
    const isAcross = new Set(files.map(({ split }) => split)).size > 1
    const sameClass = new Set(files.map((file) => file.class)).size === 1
    duplicates[isAcross ? 'acrossSplits' : 'withinSplit'].push({ sameClass, files })
  }
  return duplicates
}

function oddities({ name, train, test, duplicates, damaged }: DataReport): string[] {
  const across = duplicates.acrossSplits.length
  const mislabelled = [...duplicates.acrossSplits, ...duplicates.withinSplit].filter(
    ({ sameClass }) => !sameClass,
  ).length
  const some = (count: number, what: string) => (count > 0 ? [`${name}: ${what}: ${count}.`] : [])
  return [
    ...some(across, 'images that are in train and in test, by content'),
    ...some(mislabelled, 'images that are in more than one class, by content'),
    ...some(train.emptyClasses.length, 'classes without an image in train'),
    ...some(test.emptyClasses.length, 'classes without an image in test'),
    ...some(damaged.length, "files that decode with a decoder's warning"),
  ]
}
