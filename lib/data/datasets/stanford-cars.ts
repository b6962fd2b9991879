// Stanford Cars (Krause et al., 3dRR 2013) from its official MAT files, in either layout: devkit/
// with cars_train/ and cars_test/, or the later cars_annos.mat with car_ims/.

import { join } from 'node:path'
import type { Dataset, Split } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { type Counts, withCountWarning } from './lists/counts.js'
import { findFolder, isFile, openRoot } from './lists/inside.js'
import { type ListedFile, listedFile, requireFiles } from './lists/listed-files.js'
import { pixelBox } from './lists/pixel-box.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'
import { type MatRecord, openMat, recordsOf, textsOf } from './mat/table.js'

/** Of the official release, from its page: 16,185 images of 196 classes. */
export const CARS_OFFICIAL: Readonly<Counts> = { classes: 196, train: 8_144, test: 8_041 }

const LAYOUT =
  'Expected a folder (or stanford_cars in it) with devkit/cars_meta.mat, ' +
  'devkit/cars_train_annos.mat, cars_train/, cars_test/ and cars_test_annos_withlabels.mat there ' +
  'or in devkit/; or with cars_annos.mat and car_ims/.'
const FOLDERS = ['.', 'stanford_cars']
const DEVKIT_LISTS = {
  train: ['devkit/cars_train_annos.mat'],
  test: ['cars_test_annos_withlabels.mat', 'devkit/cars_test_annos_withlabels.mat'],
}
const SINGLE_LIST = 'cars_annos.mat'
const CORNERS = ['bbox_x1', 'bbox_y1', 'bbox_x2', 'bbox_y2']

/** A struct of an `annotations`, and where its image is said to be. */
interface Annotation {
  record: MatRecord
  split: Split
  file: ListedFile
}

/**
 * Reads the official annotations and checks that every listed file is there; no image is opened.
 * Classes are those of class_names, samples keep the order of the annotations and carry their
 * bounding box. Where both layouts are there the devkit is read. Counts that are not the official
 * ones are a warning.
 *
 * @throws McLossError E_DATA naming file and struct for one that is no MAT file or holds other
 * values, a class out of range, a path that leaves the root, is listed twice or is of no file.
 */
export async function stanfordCars(options: ReaderOptions): Promise<Dataset> {
  const { root, checkFiles, split: wanted } = options
  const real = await openRoot(root, LAYOUT)
  const lists = DEVKIT_LISTS[wanted ?? 'train']
  const folder = await findFolder(real, FOLDERS, [...lists, SINGLE_LIST], LAYOUT)
  const ofDevkit = await Promise.all(lists.map((list) => isFile(join(folder, list))))
  const read = ofDevkit.includes(true) ? readDevkit : readSingle
  const { classes, annotations } = await read(real, folder, splitsOf(wanted))
  const dataset: Dataset = { name: 'stanford-cars', classes, train: [], test: [] }
  for (const { record, split, file } of annotations) {
    const corners = CORNERS.map((corner) => record.integer(corner, 0, 99_999))
    dataset[split].push({
      path: file.path,
      label: record.integer('class', 1, classes.length) - 1,
      box: pixelBox(corners, record.place),
    })
  }
  const files = annotations.map(({ file }) => file)
  await requireFiles(real, files, checkFiles)
  checkDataset(dataset, wanted)
  return withCountWarning(dataset, CARS_OFFICIAL, options)
}

async function readDevkit(root: string, folder: string, splits: readonly Split[]) {
  const classes = textsOf(await openMat(root, join(folder, 'devkit/cars_meta.mat')), 'class_names')
  const annotations: Annotation[] = []
  for (const split of splits) {
    const [first = '', within] = DEVKIT_LISTS[split].map((list) => join(folder, list))
    const path = within === undefined || (await isFile(first)) ? first : within
    const mat = await openMat(root, path)
    for (const record of recordsOf(mat, 'annotations', [...CORNERS, 'class', 'fname'])) {
      const file = listedFile(join(folder, `cars_${split}`), record.text('fname'), record.place)
      annotations.push({ record, split, file })
    }
  }
  return { classes, annotations }
}

async function readSingle(root: string, folder: string, splits: readonly Split[]) {
  const mat = await openMat(root, join(folder, SINGLE_LIST))
  const fields = [...CORNERS, 'class', 'test', 'relative_im_path']
  const annotations = recordsOf(mat, 'annotations', fields).map((record): Annotation => {
    const file = listedFile(folder, record.text('relative_im_path'), record.place)
    return { record, split: record.integer('test', 0, 1) === 1 ? 'test' : 'train', file }
  })
  const wanted = annotations.filter(({ split }) => splits.includes(split))
  return { classes: textsOf(mat, 'class_names'), annotations: wanted }
}
