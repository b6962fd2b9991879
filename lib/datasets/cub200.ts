// CUB-200-2011 (Wah et al., Caltech CNS-TR-2011-001) from its official text files: images.txt,
// image_class_labels.txt, train_test_split.txt, classes.txt, bounding_boxes.txt. Lists are not
// trusted: every line is checked, every listed file must exist within the root.

import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import type { Dataset, Sample } from '../batch.js'
import { McLossError } from '../errors.js'
import { checkDataset } from './check.js'
import { listInside, openRoot } from './inside.js'
import { type Line, lineError, readNumbered, requireSameIds } from './numbered-list.js'

export interface Cub200Counts {
  classes: number
  /** Images. */
  train: number
  /** Images. */
  test: number
}

/** The counts of the official release, from its README. */
export const CUB200_OFFICIAL: Readonly<Cub200Counts> = { classes: 200, train: 5_994, test: 5_794 }

const LAYOUT =
  'Expected the folder CUB_200_2011 (or its parent) with images.txt, image_class_labels.txt, ' +
  'train_test_split.txt, classes.txt, bounding_boxes.txt and images/, as CUB_200_2011.tgz unpacks.'

/**
 * Reads the official lists and checks that every listed file is there; no image is opened. `root`
 * is the folder CUB_200_2011 or its parent. Class i is line i + 1 of classes.txt; samples keep the
 * order of images.txt and carry their bounding box. `counts` declares a subset of one's own.
 *
 * @throws McLossError E_DATA naming file and line for a line that cannot be read, an id in one list
 * and not in another, a label out of range, a path that leaves the root, is listed twice or is of
 * no file; also for other counts than `counts`.
 */
export async function cub200(
  root: string,
  counts = CUB200_OFFICIAL,
  checkFiles = true,
): Promise<Dataset> {
  const folder = await findRoot(root)
  const classLines = await readNumbered(folder, 'classes.txt')
  const images = await readNumbered(folder, 'images.txt')
  const labels = await readNumbered(folder, 'image_class_labels.txt')
  const splits = await readNumbered(folder, 'train_test_split.txt')
  const boxes = await readNumbered(folder, 'bounding_boxes.txt')
  for (const list of [labels, splits, boxes]) requireSameIds(images, list)
  const classes = classNames([...classLines.lines.values()])
  const dataset: Dataset = { name: 'cub200', classes, train: [], test: [] }
  for (const [id, image] of images.lines) {
    const sample: Sample = {
      path: join(folder, 'images', relativePath(image)),
      label: integer(labels.lines.get(id) as Line, 1, classes.length, 'a class') - 1,
      box: boxOf(boxes.lines.get(id) as Line),
    }
    const isTrain = integer(splits.lines.get(id) as Line, 0, 1, '1 (train) or 0 (test)') === 1
    dataset[isTrain ? 'train' : 'test'].push(sample)
  }
  if (checkFiles) await requireFiles(folder, [...images.lines.values()])
  requireCounts(folder, dataset, counts)
  checkDataset(dataset)
  return dataset
}

function requireCounts(folder: string, dataset: Dataset, counts: Cub200Counts): void {
  const say = ({ classes, train, test }: Cub200Counts) =>
    `${classes} classes, ${train} training and ${test} test images`
  const { classes, train, test } = dataset
  const found = { classes: classes.length, train: train.length, test: test.length }
  if (say(found) === say(counts)) return
  throw new McLossError(
    'E_DATA',
    `cub200: expected ${say(counts)} in ${folder} but the lists have ${say(found)}. Unpack ` +
      'CUB_200_2011.tgz again; for a subset of your own call datasets.cub200(root, counts) in a ' +
      'script and give the result as data.dataset.',
  )
}

async function findRoot(root: string): Promise<string> {
  const real = await openRoot(root, LAYOUT)
  for (const folder of [real, join(real, 'CUB_200_2011')]) {
    const list = await stat(join(folder, 'images.txt')).catch(() => undefined)
    if (!list?.isFile()) continue
    await listInside(real, folder) // refuses links that leave the root
    return await realpath(folder)
  }
  throw new McLossError('E_DATA', `cub200: ${root} holds no images.txt. ${LAYOUT}`)
}

function classNames(lines: Line[]): string[] {
  return lines.map((line, index) => {
    if (line.id !== index + 1) throw lineError(line, `the class number ${index + 1} in its turn`)
    return line.rest
  })
}

function relativePath(line: Line): string {
  const path = normalize(line.rest)
  if (/^\.\.(\/|$)|^\/|[\0\\]/.test(path)) {
    throw lineError(line, 'a path within the folder images/')
  }
  return path
}

function integer(line: Line, least: number, most: number, what: string): number {
  const value = /^\d{1,9}$/.test(line.rest) ? Number(line.rest) : Number.NaN
  if (value >= least && value <= most) return value
  throw lineError(line, `${what}, an integer ${least}..${most}`)
}

function boxOf(line: Line): [number, number, number, number] {
  const values = line.rest.split(/ +/)
  if (values.length !== 4 || !values.every((value) => /^\d{1,9}(\.\d{1,9})?$/.test(value))) {
    throw lineError(line, 'a box: x y width height, each >= 0')
  }
  return values.map(Number) as [number, number, number, number]
}

/** One listing a folder instead of one question a file: 200 calls for the official 11,788 images. */
async function requireFiles(root: string, images: Line[]): Promise<void> {
  const folders = new Map<string, Set<string>>()
  const seen = new Set<string>()
  for (const line of images) {
    const path = join(root, 'images', relativePath(line))
    const folder = dirname(path)
    let files = folders.get(folder)
    if (files === undefined) {
      const entries = (await listInside(root, folder)) ?? []
      files = new Set(entries.filter(({ kind }) => kind === 'file').map(({ name }) => name))
      folders.set(folder, files)
    }
    if (seen.size === seen.add(path).size) throw lineError(line, 'a path that no other line has')
    if (!files.has(basename(path))) throw lineError(line, `a file that exists at ${path}`)
  }
}
