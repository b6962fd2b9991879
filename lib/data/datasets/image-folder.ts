// Images sorted into folders: root/train/<class>/* and root/test/<class>/* (or root/val where there
// is no root/test), folders below a class included. Classes are numbered in the order of their names
// by UTF-16 code units, as Array.sort does: 'B' before 'a', '10' before '9'; pad numbers with zeros.
// So are their files.

import { join } from 'node:path'
import { firstDifference } from '../../difference.js'
import { McLossError } from '../../errors.js'
import type { Dataset, Sample, Split } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { hiddenImages, imagesBelow, requireUtf8, unreadImages } from './lists/images-below.js'
import { isHidden, listInside, openRoot } from './lists/inside.js'
import { isRead, isUnreadImage, type LeftOut, leftOutText } from './lists/left-out.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'

const LAYOUT =
  'Expected layout: ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE (or ROOT/val), the same ' +
  'classes in both, images ending in .jpg, .jpeg, .png or .webp.'

/**
 * Reads the file lists of a folder of class folders; no image is opened. What is left out (hidden
 * images, other formats, other files) is a warning that says how many of which.
 *
 * @throws McLossError E_DATA for a missing or empty root or split, a class without images, classes
 * that differ between the splits or are not the known ones, a link that leaves the root or leads in a
 * circle, a name that is not UTF-8.
 */
export async function imageFolder(options: ReaderOptions): Promise<Dataset> {
  const { root, split: wanted, knownClasses } = options
  const real = await openRoot(root, LAYOUT)
  const read = new Map<Split, ClassFolders>()
  for (const split of splitsOf(wanted)) read.set(split, await readSplit(real, split, options))
  const [train, test] = [read.get('train'), read.get('test')]
  if (train && test) requireSameClasses(root, train.classes, test.classes)
  const classes = knownClasses ? [...knownClasses] : ((train ?? test)?.classes ?? [])
  const warnings: string[] = []
  const samplesOf = (split: Split): Sample[] => {
    const found = read.get(split)
    if (found === undefined) return []
    const absent = requireKnown(root, classes, found)
    if (absent) warnings.push(`image-folder: ${split} of ${root} has no images of ${absent}.`)
    return found.images.map(({ path, name }) => ({ path, label: classes.indexOf(name) }))
  }
  const dataset: Dataset = {
    name: 'image-folder',
    classes,
    train: samplesOf('train'),
    test: samplesOf('test'),
  }
  const leftOut = leftOutText(
    real,
    [...read.values()].flatMap((found) => found.leftOut),
  )
  if (leftOut) warnings.push(`image-folder: left out under ${root}: ${leftOut}.`)
  checkDataset(dataset, wanted)
  return warnings.length > 0 ? { ...dataset, warnings } : dataset
}

/** The class folders of a split. */
interface ClassFolders {
  classes: string[]
  images: { path: string; name: string }[]
  leftOut: LeftOut[]
}

async function readSplit(
  root: string,
  split: Split,
  { root: given, checkFiles }: ReaderOptions,
): Promise<ClassFolders> {
  let folder = join(root, split)
  let entries = await listInside(root, folder)
  const val = join(root, 'val')
  const hasOwn = entries !== undefined
  if (split === 'test' && !hasOwn) {
    folder = val
    entries = await listInside(root, folder)
  }
  if (entries === undefined) {
    const missing = split === 'train' ? 'train' : 'test or val'
    throw new McLossError('E_DATA', `image-folder: ${given} has no folder ${missing}. ${LAYOUT}`)
  }
  const found: ClassFolders = { classes: [], images: [], leftOut: [] }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (isHidden(entry)) found.leftOut.push(...(await hiddenImages(path, entry)))
    else if (entry.kind === 'folder') {
      requireUtf8(folder, entry)
      await readClass(root, path, entry.name, found, checkFiles)
    } else {
      const isImage = isRead(entry.name) || isUnreadImage(entry.name)
      found.leftOut.push({ reason: isImage ? 'outside' : 'ending', path })
    }
  }
  if (found.classes.length === 0) {
    throw new McLossError('E_DATA', `image-folder: ${folder} has no class folders. ${LAYOUT}`)
  }
  if (split === 'test' && hasOwn) found.leftOut.push(...(await unreadImages(val, 'val')))
  return found
}

async function readClass(
  root: string,
  path: string,
  name: string,
  found: ClassFolders,
  checkFiles?: boolean,
): Promise<void> {
  const { images, leftOut } = await imagesBelow(root, path, checkFiles)
  if (images.length === 0) {
    const instead = leftOutText(path, leftOut)
    throw new McLossError(
      'E_DATA',
      `image-folder: the class ${path} has no images${instead && `, only ${instead}`}. ${LAYOUT}`,
    )
  }
  found.classes.push(name)
  found.images.push(...images.map((image) => ({ path: image, name })))
  found.leftOut.push(...leftOut)
}

function requireSameClasses(root: string, train: string[], test: string[]): void {
  const onlyTrain = train.filter((name) => !test.includes(name))
  const onlyTest = test.filter((name) => !train.includes(name))
  if (onlyTrain.length + onlyTest.length === 0) return
  const list = (names: string[]) => names.slice(0, 5).join(', ') || 'none'
  throw new McLossError(
    'E_DATA',
    `image-folder: the splits of ${root} differ in their classes; only in train: ` +
      `${list(onlyTrain)}; only in test: ${list(onlyTest)}; ${firstDifference(train, test)}. ${LAYOUT}`,
  )
}

/** The classes without a folder, in words. @throws McLossError E_DATA for a folder of no class. */
function requireKnown(root: string, classes: readonly string[], found: ClassFolders): string {
  const other = found.classes.find((name) => !classes.includes(name))
  if (other !== undefined) {
    throw new McLossError(
      'E_DATA',
      `image-folder: expected the ${classes.length} classes of the model ` +
        `(${classes.slice(0, 5).join(', ')}${classes.length > 5 ? ', ...' : ''}) under ${root} but ` +
        `received the class folder ${other}; ${firstDifference(classes, found.classes)}. Rename it, ` +
        'or take it out.',
    )
  }
  const absent = classes.filter((name) => !found.classes.includes(name))
  const [first] = absent
  if (absent.length < 2) return first ? `the class ${first}` : ''
  return `${absent.length} of ${classes.length} classes, the first is ${first}`
}
