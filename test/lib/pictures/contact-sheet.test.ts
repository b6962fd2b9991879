import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { window } from '../../../lib/data/augment.js'
import type { Dataset } from '../../../lib/data/batch.js'
import { decode, decodeTo, encodePng, type Image, renderSvg } from '../../../lib/data/images.js'
import { order } from '../../../lib/data/sampler.js'
import { positionsOf } from '../../../lib/data/validation.js'
import {
  type ContactSheet,
  contactSheet,
  type SheetConfig,
} from '../../../lib/pictures/contact-sheet.js'
import { temporaryFolder } from '../../support/small-birds.js'

const letter =
  '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text y="15" fill="#fff">M'
const { pixels: drawn } = await renderSvg(`${letter}</text></svg>`)
const noFont = drawn.some((level) => level > 0) ? '' : ' (no font is installed)'

const folder = temporaryFolder()
const SIZES = [
  [40, 30],
  [24, 32],
  [64, 64],
] as const // [height, width]; the second is not resized
const COUNT = 11
const classes = ['plain', 'a & <b>', 'third']
const dataset: Dataset = { classes, train: [], test: [] }
const config: SheetConfig = {
  seed: 5,
  data: {
    resize: [24, 32],
    crop: [20, 26],
    padding: 3,
    flip: true,
    prefetch: 2,
    decoders: 2,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  optim: { batchSize: 4, dropLast: true },
}

beforeAll(async () => {
  for (let number = 0; number < COUNT; number++) {
    const [height, width] = SIZES[number % 3] as (typeof SIZES)[number]
    const pixels = Uint8Array.from(
      { length: height * width * 3 },
      (_, at) => (at * (number + 3) + (at >> 6) * 31) & 255,
    )
    const path = join(folder, `${number}.png`)
    writeFileSync(path, await encodePng({ pixels, width, height }))
    for (const split of ['train', 'test'] as const) {
      dataset[split].push({ path, label: number % 3 })
    }
  }
})

async function opened(sheet: ContactSheet, name: string): Promise<Image> {
  const path = join(folder, name)
  writeFileSync(path, sheet.png)
  const image = await decode(path)
  expect([image.width, image.height]).toEqual([sheet.width, sheet.height])
  return image
}

/** What the network sees of a sample: resized, then cut and mirrored pixel by pixel. */
async function expectedTile(sample: number, epoch: number, split: 'train' | 'test') {
  const [height, width] = config.data.resize
  const [cropHeight, cropWidth] = config.data.crop
  const resized = new Uint8Array(height * width * 3)
  await decodeTo({ path: join(folder, `${sample}.png`) }, [height, width], resized)
  const { top, left, flip } = window(config.seed, epoch, sample, config.data, split)
  return (y: number, x: number) => {
    const fromY = top + y
    const fromX = left + (flip ? cropWidth - 1 - x : x)
    const isInside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width
    expect(y).toBeLessThan(cropHeight)
    return [0, 1, 2].map((c) => (isInside ? resized[(fromY * width + fromX) * 3 + c] : 0))
  }
}

describe.each([
  ['train', 0],
  ['train', 3],
  ['test', 0],
] as const)('%s, epoch %i', (split, epoch) => {
  test('every tile is the window of its sample, to the pixel, in the order of the epoch', async () => {
    const sheet = await contactSheet(dataset, config, { split, epoch, count: 10 })
    const image = await opened(sheet, `${split}-${epoch}.png`)
    const samples = split === 'train' ? [...order(COUNT, 5, epoch)] : [...Array(COUNT).keys()]
    expect(sheet.tiles.map(({ sample }) => sample)).toEqual(samples.slice(0, 10))
    expect(sheet.scale).toBe(5) // 5 * 26 is 130
    for (const { sample, left, top, class: name } of sheet.tiles) {
      expect(name).toBe(classes[sample % 3])
      const expected = await expectedTile(sample, epoch, split)
      const [height, width] = config.data.crop
      const wrong: string[] = []
      for (let y = 0; y < height * sheet.scale; y++) {
        for (let x = 0; x < width * sheet.scale; x++) {
          const at = ((top + y) * sheet.width + left + x) * 3
          const found = String([...image.pixels.subarray(at, at + 3)])
          const should = String(expected(Math.floor(y / sheet.scale), Math.floor(x / sheet.scale)))
          if (found !== should) wrong.push(`${y},${x}: ${found} for ${should}`)
        }
      }
      expect(wrong, `sample ${sample}`).toEqual([])
    }
  })
})

test('with validation images the training sheet shows the others, in a grid of their number', async () => {
  const aside = { ...config, data: { ...config.data, validation: 0.5 } }
  const sheet = await contactSheet(dataset, aside, { split: 'train', epoch: 0, count: 100 })
  const trained = [...positionsOf(dataset, aside, 'train')]
  expect(trained).toHaveLength(5)
  expect(sheet.tiles.map(({ sample }) => sample).sort((a, b) => a - b)).toEqual(trained)
  const five = await contactSheet(dataset, config, { split: 'train', epoch: 0, count: 5 })
  expect([sheet.width, sheet.height]).toEqual([five.width, five.height])
})

test('epochs differ in training and not in testing', async () => {
  const png = async (split: 'train' | 'test', epoch: number) =>
    (await contactSheet(dataset, config, { split, epoch, count: 4 })).png
  expect((await png('train', 0)).equals(await png('train', 1))).toBe(false)
  expect((await png('train', 1)).equals(await png('train', 1))).toBe(true)
  expect((await png('test', 0)).equals(await png('test', 1))).toBe(true)
})

test.each([
  [96, 2],
  [127, 2],
  [128, 1],
])('tiles of %i px have 128 at least, so that a name has room: times %i', async (side, times) => {
  const data = { ...config.data, resize: [side, side], crop: [side, side] } as typeof config.data
  const one = { split: 'test', epoch: 0, count: 1 } as const
  expect((await contactSheet(dataset, { ...config, data }, one)).scale).toBe(times)
})

test('tiles lie within the sheet, beside and below each other with room for a name', async () => {
  const { tiles, width, height, scale } = await contactSheet(dataset, config, {
    split: 'train',
    epoch: 0,
    count: 100,
  })
  expect(tiles).toHaveLength(COUNT)
  const [tileHeight, tileWidth] = config.data.crop.map((side) => side * scale) as [number, number]
  for (const [index, one] of tiles.entries()) {
    expect(one.left + tileWidth).toBeLessThan(width)
    expect(one.top + tileHeight + 30).toBeLessThanOrEqual(height)
    for (const other of tiles.slice(index + 1)) {
      const apart =
        Math.abs(one.left - other.left) >= tileWidth ||
        Math.abs(one.top - other.top) >= tileHeight + 30
      expect(apart).toBe(true)
    }
  }
})

describe('names', () => {
  const black = { ...config, data: { ...config.data, flip: false } }
  /** One black tile with this name; the sheet's pixels as 'r,g,b'. */
  async function coloursOf(name: string): Promise<string[]> {
    const path = join(folder, 'black.png')
    writeFileSync(path, await encodePng({ pixels: new Uint8Array(12), width: 2, height: 2 }))
    const sample = { path, label: 0 }
    const one = { classes: [name], train: [sample], test: [sample] }
    const sheet = await contactSheet(one, black, { split: 'test', epoch: 0, count: 1 })
    const { pixels } = await opened(sheet, 'name.png')
    return Array.from({ length: pixels.length / 3 }, (_, at) =>
      String([...pixels.subarray(at * 3, at * 3 + 3)]),
    )
  }
  const coloured = (pixels: string[]) =>
    pixels.filter((pixel) => new Set(pixel.split(',')).size > 1).length

  test.each([
    '</text></svg></g><rect width="999" height="999" fill="#f00"/>',
    '<tspan fill="red" font-size="90">x</tspan>',
    '&xxe;',
    ']]><![CDATA[<rect/>',
    'a\x00b\x1b[31m\ud800\uffff',
    '"\'><image href="file:///etc/passwd"/>',
    '',
    '鳥'.repeat(300),
  ])('%j is text: the sheet stays black, white and grey', async (name) => {
    const pixels = await coloursOf(name)
    expect(coloured(pixels)).toBe(0)
    expect(pixels.filter((pixel) => pixel === '255,255,255').length).toBeGreaterThan(1000)
  })

  test.skipIf(noFont !== '')(`a name is drawn, below its tile${noFont}`, async () => {
    const [none, some] = [await coloursOf(''), await coloursOf('Albatross')]
    expect(some).not.toEqual(none)
    const first = some.findIndex((pixel, at) => pixel !== none[at])
    const width = 20 + 26 * 4
    expect(Math.floor(first / width)).toBeGreaterThanOrEqual(10 + 20 * 4)
  })
})

describe('refuses', () => {
  const asked = (count: number, crop?: [number, number]) =>
    contactSheet(
      dataset,
      crop ? { ...config, data: { ...config.data, resize: crop, crop } } : config,
      { split: 'train', epoch: 0, count },
    )
  test.each([0, -1, 1.5, Number.NaN])('%d tiles', async (count) => {
    await expect(asked(count)).rejects.toMatchObject({ code: 'E_ARGUMENT' })
  })

  test('a sheet of more than 50 megapixels, before it decodes anything', async () => {
    await expect(asked(11, [3000, 3000])).rejects.toMatchObject({
      code: 'E_ARGUMENT',
      message: expect.stringContaining('Ask for fewer'),
    })
  })

  test('an empty split, a file that is no image', async () => {
    const none = { ...dataset, test: [] }
    await expect(
      contactSheet(none, config, { split: 'test', epoch: 0, count: 4 }),
    ).rejects.toMatchObject({ code: 'E_DATA' })
    mkdirSync(join(folder, 'broken.png'))
    const broken = { ...dataset, test: [{ path: join(folder, 'broken.png'), label: 0 }] }
    await expect(
      contactSheet(broken, config, { split: 'test', epoch: 0, count: 4 }),
    ).rejects.toMatchObject({ code: 'E_IMAGE' })
  })
})
