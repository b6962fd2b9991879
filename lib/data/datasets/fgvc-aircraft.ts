// FGVC-Aircraft 2013b (Maji et al., arXiv:1306.5151) from its official text files: the classes of a
// level in variants.txt, families.txt or manufacturers.txt, the labels in
// images_{variant,family,manufacturer}_{trainval,test}.txt, boxes in images_box.txt.

import { join } from 'node:path'
import { z } from 'zod'
import type { Dataset, Sample } from '../batch.js'
import { checkDataset } from './lists/check.js'
import { type Counts, withCountWarning } from './lists/counts.js'
import { findFolder, isFile, openRoot } from './lists/inside.js'
import { type ListedFile, listedFile, requireFiles } from './lists/listed-files.js'
import { pixelBox } from './lists/pixel-box.js'
import { placeError } from './lists/place.js'
import { type ReaderOptions, splitsOf } from './lists/reader.js'
import { integerOf, readLines } from './lists/text-list.js'

/** Keys of `data` in a configuration. */
export const aircraftOptions = {
  level: z
    .enum(['variant', 'family', 'manufacturer'])
    .optional()
    .describe('what the classes are, default variant'),
  cropStrip: z
    .boolean()
    .optional()
    .describe('cut the 20 pixels with the copyright off the bottom, default true'),
}

type AircraftOptions = ReaderOptions & z.output<z.ZodObject<typeof aircraftOptions>>
export type AircraftLevel = NonNullable<AircraftOptions['level']>

const images = { train: 6_667, test: 3_333 } // lines of images_variant_{trainval,test}.txt
/**
 * Of the official release: lines of its class lists. (Its README says 102 variants and 41
 * manufacturers, which was before some of them were taken out.)
 */
export const AIRCRAFT_OFFICIAL: Readonly<Record<AircraftLevel, Counts>> = {
  variant: { classes: 100, ...images },
  family: { classes: 70, ...images },
  manufacturer: { classes: 30, ...images },
}

const classLists = {
  variant: 'variants.txt',
  family: 'families.txt',
  manufacturer: 'manufacturers.txt',
}

/** Pixels: a line with the photographer's name, which the README asks to remove. */
export const STRIP = 20

const LAYOUT =
  'Expected the folder fgvc-aircraft-2013b (or its parent, or its folder data) with ' +
  'data/variants.txt, data/images_variant_trainval.txt, data/images_variant_test.txt and ' +
  'data/images/, as fgvc-aircraft-2013b.tar.gz unpacks.'

/**
 * Reads the official lists and checks that every listed file is there; no image is opened. `root`
 * is the folder fgvc-aircraft-2013b, its parent or its folder data. train is the official trainval.
 * Class i is line i + 1 of the class list. Samples carry their bounding box where images_box.txt
 * is there, and, unless `cropStrip` is false, cropBottom. Counts that are not the official ones are
 * a warning.
 *
 * @throws McLossError E_DATA naming file and line for a line that cannot be read, a class that is
 * not in the class list, an image listed twice or that is not there.
 */
export async function fgvcAircraft(options: AircraftOptions): Promise<Dataset> {
  const { root, checkFiles, split: wanted, level = 'variant', cropStrip = true } = options
  const real = await openRoot(root, LAYOUT)
  const folders = ['data', '.', 'fgvc-aircraft-2013b/data']
  const folder = await findFolder(real, folders, [classLists[level]], LAYOUT)
  const classes = (await readLines(real, folder, classLists[level])).map(({ text }) => text)
  const labels = new Map(classes.map((name, label) => [name, label]))
  const boxes = await readBoxes(real, folder)
  const dataset: Dataset = { name: 'fgvc-aircraft', classes, train: [], test: [] }
  const files: ListedFile[] = []
  for (const split of splitsOf(wanted)) {
    const name = split === 'train' ? 'trainval' : 'test'
    for (const line of await readLines(real, folder, `images_${level}_${name}.txt`)) {
      const [, id = '', className = ''] = /^(\d{7}) +(.+)$/.exec(line.text) ?? []
      const label = labels.get(className)
      if (label === undefined) {
        const expected = `seven digits and a class of ${classLists[level]}`
        throw placeError(line, expected, line.text)
      }
      const file = listedFile(join(folder, 'images'), `${id}.jpg`, line)
      const box = boxes.get(id)
      dataset[split].push({
        path: file.path,
        label,
        ...(box && { box }),
        ...(cropStrip && { cropBottom: STRIP }),
      })
      files.push(file)
    }
  }
  await requireFiles(real, files, checkFiles)
  checkDataset(dataset, wanted)
  return withCountWarning(dataset, AIRCRAFT_OFFICIAL[level], options)
}

async function readBoxes(root: string, folder: string): Promise<Map<string, Sample['box']>> {
  if (!(await isFile(join(folder, 'images_box.txt')))) return new Map()
  return new Map(
    (await readLines(root, folder, 'images_box.txt')).map((line) => {
      const [id = '', ...corners] = line.text.split(/ +/)
      const values = corners.map((corner) => integerOf(corner, line, 0, 99_999, 'a corner'))
      return [id, pixelBox(values, line)]
    }),
  )
}
