// Tiny copies of the four benchmark sets in their official layouts, 3 classes, 9 images to train
// and 6 to test; the MAT files are those SciPy wrote (test/fixtures/make_mat5.py). Images have the
// colour of their class: red, green, blue.

import { cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { encodeJpeg } from '../../lib/data/images.js'
import { words } from './formula-weights.js'

export const tinySetNames = [
  'cub200',
  'fgvc-aircraft',
  'flowers102',
  'stanford-cars',
  'stanford-cars-single',
] as const
export type TinySet = (typeof tinySetNames)[number]

/** What is in each of them. */
export const TINY = { classes: 3, train: 9, test: 6 }

/** The reader of a tiny set. */
export const readerOf = (name: TinySet) => name.replace(/-single$/, '')

const WIDTH = 40
const HEIGHT = 32
const STRIP = 20 // rows of white, which aircraft have at the bottom
const fixtures = join(import.meta.dirname, '..', 'fixtures', 'mat5', 'packed')

/** Writes a set into `root`, which may be there already. */
export function writeTinySet(name: TinySet, root: string): Promise<void> {
  return writers[name](root)
}

/** Image `at` of each set (from 0) has this label; Flowers has five of a class in a row. */
const inTurn = (at: number) => at % 3
const inRows = (at: number) => Math.floor(at / 5)

const writers: Record<TinySet, (root: string) => Promise<void>> = {
  async cub200(root) {
    const classes = ['001.Black_footed_Albatross', '002.Laysan_Albatross', '003.Sooty_Albatross']
    const files = range(15).map((at) => `${classes[inTurn(at)]}/Albatross_${at + 1}.jpg`)
    await writeLists(root, {
      'classes.txt': classes.map((name, at) => `${at + 1} ${name}`),
      'images.txt': files.map((file, at) => `${at + 1} ${file}`),
      'image_class_labels.txt': files.map((_, at) => `${at + 1} ${inTurn(at) + 1}`),
      'train_test_split.txt': files.map((_, at) => `${at + 1} ${at < 9 ? 1 : 0}`),
      'bounding_boxes.txt': files.map((_, at) => `${at + 1} 2.0 3.0 ${20 + at}.0 25.0`),
    })
    await writeImages(files.map((file, at) => [join(root, 'images', file), inTurn(at)]))
  },

  async 'fgvc-aircraft'(root) {
    const variants = ['707-320', 'F/A-18', 'DC-9-30']
    const levels = {
      variant: variants,
      family: ['Boeing 707', 'F/A-18', 'DC-9'],
      manufacturer: ['Boeing', 'McDonnell Douglas', 'McDonnell Douglas'],
    }
    const ids = range(15).map((at) => String(56_978 + at * 98_765).padStart(7, '0'))
    const parts = { train: [0, 6], val: [6, 9], trainval: [0, 9], test: [9, 15] } as const
    const lists: Record<string, string[]> = {
      'images_box.txt': ids.map((id, at) => `${id} ${at % 2} 3 ${20 + at} 28`),
    }
    for (const [plural, level] of [
      ['variants', 'variant'],
      ['families', 'family'],
      ['manufacturers', 'manufacturer'],
    ] as const) {
      lists[`${plural}.txt`] = [...new Set(levels[level])]
      for (const [part, [from, to]] of Object.entries(parts)) {
        lists[`images_${level}_${part}.txt`] = range(15)
          .slice(from, to)
          .map((at) => `${ids[at]} ${levels[level][inTurn(at)]}`)
      }
    }
    await writeLists(join(root, 'data'), lists)
    const images = ids.map(
      (id, at) => [join(root, 'data/images', `${id}.jpg`), inTurn(at)] as const,
    )
    await writeImages(images, STRIP)
  },

  async flowers102(root) {
    await copyFixtures(root, 'imagelabels.mat', 'setid.mat')
    const file = (at: number) => `jpg/image_${String(at + 1).padStart(5, '0')}.jpg`
    await writeImages(range(15).map((at) => [join(root, file(at)), inRows(at)]))
  },

  async 'stanford-cars'(root) {
    await copyFixtures(join(root, 'devkit'), 'cars_train_annos.mat', 'cars_meta.mat')
    await copyFixtures(root, 'cars_test_annos_withlabels.mat')
    const file = (at: number) => `${String(at + 1).padStart(5, '0')}.jpg`
    await writeImages([
      ...range(9).map((at) => [join(root, 'cars_train', file(at)), inTurn(at)] as const),
      ...range(6).map((at) => [join(root, 'cars_test', file(at)), inTurn(at)] as const),
    ])
  },

  async 'stanford-cars-single'(root) {
    await copyFixtures(root, 'cars_annos.mat')
    const file = (at: number) => `car_ims/${String(at + 1).padStart(6, '0')}.jpg`
    await writeImages(range(15).map((at) => [join(root, file(at)), inTurn(at)]))
  },
}

const range = (count: number) => Array.from({ length: count }, (_, at) => at)

async function copyFixtures(folder: string, ...names: string[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of names) await cp(join(fixtures, name), join(folder, name))
}

async function writeLists(folder: string, lists: Record<string, string[]>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, lines] of Object.entries(lists)) {
    await writeFile(join(folder, name), `${lines.join('\n')}\n`)
  }
}

async function writeImages(images: (readonly [string, number])[], strip = 0): Promise<void> {
  for (const [at, [path, label]] of images.entries()) {
    const height = HEIGHT + strip
    const noise = words(`tiny.${at}`, WIDTH * height * 3)
    const pixels = Uint8Array.from(noise, (word, byte) =>
      byte >= WIDTH * HEIGHT * 3 ? 255 : (word % 60) + (byte % 3 === label ? 180 : 20),
    )
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, await encodeJpeg({ pixels, width: WIDTH, height }, 90))
  }
}
