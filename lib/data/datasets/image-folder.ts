// Images sorted into folders: root/train/<class>/* and root/test/<class>/* (or root/val where there
// is no root/test). Classes are numbered in the order of their names by UTF-16 code units, as
// Array.sort does: 'B' before 'a', '10' before '9'; pad numbers with zeros. So are their files.

import { join, relative } from 'node:path'
import { McLossError } from '../../errors.js'
import type { Dataset, Sample } from '../batch.js'
import { isImageName } from '../folder-images.js'
import { checkDataset } from './lists/check.js'
import { type Entry, listInside, openRoot } from './lists/inside.js'
import type { ReaderOptions } from './lists/reader.js'

const LAYOUT =
  'Expected layout: ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE (or ROOT/val), the same ' +
  'classes in both, images ending in .jpg, .jpeg, .png or .webp.'

/**
 * Reads the file lists of a folder of class folders; no image is opened. Files of other endings and
 * folders within class folders are left out, with a warning; hidden entries silently.
 *
 * @throws McLossError E_DATA for a missing or empty root or split, a class without images, classes
 * that differ between the splits, a link that leaves the root.
 */
export async function imageFolder({ root, checkFiles }: ReaderOptions): Promise<Dataset> {
  const real = await openRoot(root, LAYOUT)
  const read = (split: string) => readSplit(real, split, checkFiles)
  const train = await read('train')
  const test = (await read('test')) ?? (await read('val'))
  if (train === undefined || test === undefined) {
    const missing = train === undefined ? 'train' : 'test or val'
    throw new McLossError('E_DATA', `image-folder: ${root} has no folder ${missing}. ${LAYOUT}`)
  }
  requireSameClasses(root, train.classes, test.classes)
  const leftOut = [...train.leftOut, ...test.leftOut]
  const dataset: Dataset = {
    name: 'image-folder',
    classes: train.classes,
    train: train.samples,
    test: test.samples,
    ...(leftOut.length > 0 && {
      warnings: [
        `image-folder: ${leftOut.length} entries under ${root} are no images by their ending and ` +
          `were left out, the first is ${relative(real, leftOut[0] as string)}.`,
      ],
    }),
  }
  checkDataset(dataset)
  return dataset
}

interface Split {
  classes: string[]
  samples: Sample[]
  leftOut: string[]
}

async function readSplit(
  root: string,
  name: string,
  checkFiles?: boolean,
): Promise<Split | undefined> {
  const folder = join(root, name)
  const entries = await listInside(root, folder)
  if (entries === undefined) return undefined
  const isClass = (entry: Entry) => entry.kind === 'folder'
  const classes = entries.filter(isClass).map((entry) => entry.name)
  if (classes.length === 0) {
    throw new McLossError('E_DATA', `image-folder: ${folder} has no class folders. ${LAYOUT}`)
  }
  const leftOut = entries
    .filter((entry) => !isClass(entry))
    .map((entry) => join(folder, entry.name))
  const samples: Sample[] = []
  for (const [label, className] of classes.entries()) {
    const path = join(folder, className)
    const files = (await listInside(root, path, checkFiles)) ?? []
    const isImage = (entry: Entry) => entry.kind === 'file' && isImageName(entry.name)
    const images = files.filter(isImage).map((file) => ({ path: join(path, file.name), label }))
    if (images.length === 0) {
      throw new McLossError('E_DATA', `image-folder: the class ${path} has no images. ${LAYOUT}`)
    }
    samples.push(...images)
    leftOut.push(...files.filter((file) => !isImage(file)).map((file) => join(path, file.name)))
  }
  return { classes, samples, leftOut }
}

function requireSameClasses(root: string, train: string[], test: string[]): void {
  const onlyTrain = train.filter((name) => !test.includes(name))
  const onlyTest = test.filter((name) => !train.includes(name))
  if (onlyTrain.length + onlyTest.length === 0) return
  const list = (names: string[]) => names.slice(0, 5).join(', ') || 'none'
  throw new McLossError(
    'E_DATA',
    `image-folder: the splits of ${root} differ in their classes; only in train: ` +
      `${list(onlyTrain)}; only in test: ${list(onlyTest)}. ${LAYOUT}`,
  )
}
