// Oxford Flowers-102 (Nilsback and Zisserman, ICVGIP 2008) from its official MAT files:
// imagelabels.mat (labels) and setid.mat (trnid, valid, tstid), images in jpg/.

import { join } from 'node:path'
import type { Dataset } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { type Counts, withCountWarning } from './lists/counts.js'
import { findFolder, openRoot } from './lists/inside.js'
import { type ListedFile, listedFile, requireFiles } from './lists/listed-files.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'
import { integersOf, openMat } from './mat/table.js'

/** Of the official setid.mat: 1,020 trnid and 1,020 valid against 6,149 tstid. */
export const FLOWERS102_OFFICIAL: Readonly<Counts> = { classes: 102, train: 2_040, test: 6_149 }

const MAX_CLASSES = 10_000

const LAYOUT =
  'Expected a folder (or flowers-102 in it) with imagelabels.mat, setid.mat and jpg/, as ' +
  '102flowers.tgz unpacks.'

/**
 * Reads the official lists and checks that every listed file is there; no image is opened. train is
 * the official training and validation images. The release has no names of the classes: they are
 * '001' to '102'. Counts that are not the official ones are a warning.
 *
 * @throws McLossError E_DATA naming the file for one that is no MAT file or holds other values, an
 * id that is no image's or stands twice, an image that is not there.
 */
export async function flowers102(options: ReaderOptions): Promise<Dataset> {
  const { root, checkFiles, split: wanted } = options
  const real = await openRoot(root, LAYOUT)
  const folder = await findFolder(real, ['.', 'flowers-102'], ['imagelabels.mat'], LAYOUT)
  const labelFile = await openMat(real, join(folder, 'imagelabels.mat'))
  const splitFile = await openMat(real, join(folder, 'setid.mat'))
  const labels = integersOf(labelFile, 'labels', 1, MAX_CLASSES)
  const classCount = labels.reduce((most, label) => Math.max(most, label), 0)
  const classes = Array.from({ length: classCount }, (_, at) => String(at + 1).padStart(3, '0'))
  const dataset: Dataset = { name: 'flowers102', classes, train: [], test: [] }
  const files: ListedFile[] = []
  for (const [split, name] of [
    ['train', 'trnid'],
    ['train', 'valid'],
    ['test', 'tstid'],
  ] as const) {
    if (!splitsOf(wanted).includes(split)) continue
    for (const [at, id] of integersOf(splitFile, name, 1, labels.length).entries()) {
      const place = { file: splitFile.file, at: `${name}(${at + 1})` }
      const image = `image_${String(id).padStart(5, '0')}.jpg`
      const file = listedFile(join(folder, 'jpg'), image, place)
      dataset[split].push({ path: file.path, label: (labels[id - 1] as number) - 1 })
      files.push(file)
    }
  }
  await requireFiles(real, files, checkFiles)
  checkDataset(dataset, wanted)
  return withCountWarning(dataset, FLOWERS102_OFFICIAL, options)
}
