// CUB-200-2011 (Wah et al., Caltech CNS-TR-2011-001) from its official text files: images.txt,
// image_class_labels.txt, train_test_split.txt, classes.txt, bounding_boxes.txt. Lists are not
// trusted: every line is checked, every listed file must exist within the root.

import { join } from 'node:path'
import type { Dataset, Sample } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { type Counts, withCountWarning } from './lists/counts.js'
import { findFolder, openRoot } from './lists/inside.js'
import { type ListedFile, listedFile, requireFiles } from './lists/listed-files.js'
import { type Line, readNumbered, requireSameIds } from './lists/numbered-list.js'
import { placeError } from './lists/place.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'
import { integerOf } from './lists/text-list.js'

/** Of the official release, from its README: 11,788 images. */
export const CUB200_OFFICIAL: Readonly<Counts> = { classes: 200, train: 5_994, test: 5_794 }

const LAYOUT =
  'Expected the folder CUB_200_2011 (or its parent) with images.txt, image_class_labels.txt, ' +
  'train_test_split.txt, classes.txt, bounding_boxes.txt and images/, as CUB_200_2011.tgz unpacks.'

/**
 * Reads the official lists and checks that every listed file is there; no image is opened. `root`
 * is the folder CUB_200_2011 or its parent. Class i is line i + 1 of classes.txt; samples keep the
 * order of images.txt and carry their bounding box. Counts that are not the official ones are a
 * warning.
 *
 * @throws McLossError E_DATA naming file and line for a line that cannot be read, an id in one list
 * and not in another, a label out of range, a path that leaves the root, is listed twice or is of
 * no file.
 */
export async function cub200(options: ReaderOptions): Promise<Dataset> {
  const { root, checkFiles, split: wanted } = options
  const real = await openRoot(root, LAYOUT)
  const folder = await findFolder(real, ['.', 'CUB_200_2011'], ['images.txt'], LAYOUT)
  const classLines = await readNumbered(real, folder, 'classes.txt')
  const images = await readNumbered(real, folder, 'images.txt')
  const labels = await readNumbered(real, folder, 'image_class_labels.txt')
  const splits = await readNumbered(real, folder, 'train_test_split.txt')
  const boxes = await readNumbered(real, folder, 'bounding_boxes.txt')
  for (const list of [labels, splits, boxes]) requireSameIds(images, list)
  const classes = classNames([...classLines.lines.values()])
  const dataset: Dataset = { name: 'cub200', classes, train: [], test: [] }
  const files: ListedFile[] = []
  for (const [id, image] of images.lines) {
    const file = listedFile(join(folder, 'images'), image.rest, image)
    const label = labels.lines.get(id) as Line
    const split = splits.lines.get(id) as Line
    const sample: Sample = {
      path: file.path,
      label: integerOf(label.rest, label, 1, classes.length, 'a class') - 1,
      box: boxOf(boxes.lines.get(id) as Line),
    }
    const isTrain = integerOf(split.rest, split, 0, 1, '1 (train) or 0 (test)') === 1
    const of = isTrain ? 'train' : 'test'
    if (!splitsOf(wanted).includes(of)) continue
    dataset[of].push(sample)
    files.push(file)
  }
  await requireFiles(real, files, checkFiles)
  checkDataset(dataset, wanted)
  return withCountWarning(dataset, CUB200_OFFICIAL, options)
}

function classNames(lines: Line[]): string[] {
  return lines.map((line, index) => {
    if (line.id === index + 1) return line.rest
    throw placeError(line, `the class number ${index + 1} in its turn`, line.rest)
  })
}

function boxOf(line: Line): [number, number, number, number] {
  const values = line.rest.split(/ +/)
  if (values.length !== 4 || !values.every((value) => /^\d{1,9}(\.\d{1,9})?$/.test(value))) {
    throw placeError(line, 'a box: x y width height, each >= 0', line.rest)
  }
  return values.map(Number) as [number, number, number, number]
}
