import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type Bird,
  birdClass,
  birdClassNames,
  MAX_BIRD_CLASSES,
} from '../../../../lib/data/datasets/birds/classes.js'
import { drawBird } from '../../../../lib/data/datasets/birds/drawing.js'
import { birdScene, svgDocument } from '../../../../lib/data/datasets/birds/scene.js'
import { drawnBirds, writeDrawnBirds } from '../../../../lib/data/datasets/drawn-birds.js'
import { decode, renderSvg } from '../../../../lib/data/images.js'
import { below, draws, Purpose, uniform } from '../../../../lib/random.js'
import { dataError, empty, tree } from '../../../support/tree.js'

const small = { classes: 3, trainPerClass: 2, testPerClass: 2, size: 32, seed: 5 }

/** Relative path to the hash of its bytes, of every file below a folder. */
async function hashes(root: string): Promise<Record<string, string>> {
  const files = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const hashed = files.map(async (file) => {
    const hash = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    return [file.slice(root.length + 1), hash] as const
  })
  return Object.fromEntries((await Promise.all(hashed)).sort())
}

async function drawn(change: object = {}): Promise<Record<string, string>> {
  const root = await tree()
  await writeDrawnBirds({ root, ...small, ...change })
  const { 'drawn-birds.json': _sheet, ...images } = await hashes(root)
  return images
}

describe('the drawn files', () => {
  test('are a dataset of JPEG files of the size asked for', async () => {
    const root = await tree()
    const dataset = await drawnBirds({ root, ...small })
    expect(dataset.name).toBe('drawn-birds')
    expect(dataset.classes).toEqual(birdClassNames(3))
    expect(dataset.train.map(({ label }) => label)).toEqual([0, 0, 1, 1, 2, 2])
    expect(dataset.test.map(({ label }) => label)).toEqual([0, 0, 1, 1, 2, 2])
    const bytes = await readFile(dataset.train[0]?.path ?? '')
    expect(bytes.subarray(0, 3).toString('hex')).toBe('ffd8ff')
    expect(await decode(dataset.test[5]?.path ?? '')).toMatchObject({ width: 32, height: 32 })
  })

  test('have the same bytes for the same seed, others for another', async () => {
    const one = await drawn()
    expect(Object.keys(one)).toHaveLength(12)
    expect(new Set(Object.values(one)).size).toBe(12) // no two images are alike
    expect(await drawn()).toEqual(one)
    const other = await drawn({ seed: 6 })
    expect(Object.keys(other)).toEqual(Object.keys(one))
    expect(Object.values(other).filter((hash) => Object.values(one).includes(hash))).toEqual([])
  })

  test('stay what they are when classes and images are added', async () => {
    const one = await drawn()
    const more = await drawn({ classes: 5, trainPerClass: 3, testPerClass: 4 })
    expect(Object.keys(more)).toHaveLength(35)
    expect(more).toMatchObject(one)
  })

  test('may begin with a later kind, whose images are the same', async () => {
    const all = await drawn({ classes: 5 })
    const later = await drawn({ classes: 3, firstClass: 2 })
    expect(Object.keys(later)).toHaveLength(12)
    expect(all).toMatchObject(later)
    const root = await tree()
    const dataset = await drawnBirds({ root, ...small, firstClass: 99 })
    expect(dataset.classes).toEqual(birdClassNames(102).slice(99))
    expect(dataset.test.map(({ label }) => label)).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('of before there was firstClass begin with the first kind', async () => {
    const root = await tree()
    await writeDrawnBirds({ root, ...small })
    const sheet = JSON.parse(await readFile(join(root, 'drawn-birds.json'), 'utf8'))
    expect(sheet.firstClass).toBe(0)
    delete sheet.firstClass
    await writeFile(join(root, 'drawn-birds.json'), JSON.stringify(sheet))
    await writeDrawnBirds({ root, ...small })
    await expect(writeDrawnBirds({ root, ...small, firstClass: 1 })).rejects.toEqual(
      dataError(root, 'firstClass 0 instead of 1'),
    )
  })

  test('are drawn once, whoever draws them at the same time', async () => {
    const parent = await tree()
    const root = join(parent, 'birds')
    await Promise.all([1, 2, 3].map(() => writeDrawnBirds({ root, ...small })))
    expect(await readdir(parent)).toEqual(['birds'])
    const before = await hashes(root)
    expect(Object.keys(before)).toHaveLength(13)
    const [image = ''] = Object.keys(before).filter((file) => file.endsWith('.jpg'))
    await writeFile(join(root, image), 'mine')
    await writeDrawnBirds({ root, ...small })
    expect(await readFile(join(root, image), 'utf8')).toBe('mine')
  })
})

test('images of a class vary in more than their noise', async () => {
  const drawings = (['train', 'test'] as const).flatMap((split) =>
    [0, 1, 2].map((index) => drawBird({ cls: 0, split, index, seed: 1, size: 48 })),
  )
  const images = (await Promise.all(drawings)).map(({ pixels }) => pixels)
  for (const [at, a] of images.entries()) {
    for (const b of images.slice(at + 1)) {
      const difference = a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0)
      expect(difference / a.length).toBeGreaterThan(10) // the noise alone: about 2 levels
    }
  }
})

describe('masks', () => {
  test('are written beside the same images, and do no harm to who asks for none', async () => {
    const root = await tree()
    await writeDrawnBirds({ root, ...small, masks: true })
    const files = await hashes(root)
    expect(files).toMatchObject(await drawn())
    const images = Object.keys(files).filter((file) => file.endsWith('.jpg'))
    const masks = images.map((file) => join('masks', file.replace('.jpg', '.png')))
    expect(Object.keys(files)).toEqual(expect.arrayContaining(masks))
    expect((await drawnBirds({ root, ...small })).train).toHaveLength(6)
  })

  test('cover the bird: its plain body colour inside, a fair share of the image', async () => {
    for (let index = 0; index < 8; index++) {
      const drawing = { cls: 2, split: 'train', index, seed: 1, size: 64, mask: true } as const
      const { pixels, mask = new Uint8Array() } = await drawBird(drawing)
      expect(mask).toHaveLength(64 * 64)
      expect([...new Set(mask)].sort()).toEqual([0, 255])
      const inside = Array.from(mask.keys()).filter((at) => mask[at] === 255)
      expect(inside.length / mask.length).toBeGreaterThan(0.08)
      expect(inside.length / mask.length).toBeLessThan(0.6)
      // Class 2 is of the red family: red leads where the bird is, whatever the background.
      const isRed = (at: number) =>
        (pixels[at * 3] as number) >
        1.3 * Math.max(pixels[at * 3 + 1] ?? 0, pixels[at * 3 + 2] ?? 0)
      expect(birdClass(2).body[0]).toBeGreaterThan(2 * birdClass(2).body[1])
      expect(inside.filter(isRed).length / inside.length).toBeGreaterThan(0.6)
    }
  })
})

describe('the masks of the parts', () => {
  const SIZE = 96
  const [WHITE, BLACK] = [[255, 255, 255] as const, [0, 0, 0] as const]
  const plain = { ...birdClass(0), body: WHITE, belly: WHITE, beak: WHITE }
  const bare = { ...plain, crown: undefined, tailBand: undefined, wingBars: 0, eyeRing: false }
  const draw = async (svg: string) => (await renderSvg(svgDocument(SIZE, svg))).pixels

  /** Colours as they are, in one of several poses, whatever a kind draws. */
  const posed = (kind: Bird, turn: number) =>
    birdScene(kind, {
      int: (least, end) => Math.floor((least + end) / 2),
      real: (least, end) => least + (end - least) * turn,
    })

  /** The twin of a mask: 0..255, how much of each pixel is alike over black and over white. */
  async function coverOf(elements: string): Promise<number[]> {
    const white = '<rect width="192" height="192" fill="#fff"/>'
    const [over, under] = await Promise.all([draw(elements), draw(white + elements)])
    const step = (pixel: number) => (under[pixel * 3] as number) - (over[pixel * 3] as number)
    return Array.from({ length: SIZE * SIZE }, (_, pixel) => 255 - step(pixel))
  }

  test.each([0, 0.3, 0.95])(
    'are the pixels that differ between such kinds, turned by %d',
    async (turn) => {
      const marked = { ...bare, crown: BLACK, tailBand: BLACK, beak: BLACK }
      const [plainest, ...others] = [
        bare,
        marked,
        { ...bare, eyeRing: true },
        { ...bare, wingBars: 2 },
      ]
      const base = posed(plainest as Bird, turn)
      const cover = await coverOf(base.parts)
      const light = await draw(base.bird)
      let differing = 0
      for (const [at, kind] of others.entries()) {
        const other = posed(kind, turn)
        expect(other.parts).toBe(base.parts)
        const drawn = await draw(other.bird)
        for (let pixel = 0; pixel < SIZE * SIZE; pixel++) {
          const change = Math.abs((drawn[pixel * 3] as number) - (light[pixel * 3] as number))
          if (change > 0) expect(cover[pixel]).toBeGreaterThan(0)
          // Crown, band and beak turn from white to black: half of that is half of the pixel.
          if (at === 0 && change > 140) expect(cover[pixel]).toBeGreaterThanOrEqual(128)
          if (change > 0) differing++
        }
      }
      const bird = await coverOf(base.bird)
      const area = (of: number[]) => of.filter((value) => value >= 128).length
      expect(differing).toBeGreaterThan(0.8 * area(cover))
      expect(area(cover)).toBeLessThan(0.4 * area(bird))
    },
  )

  test('are those of the image: half of a pixel and more', async () => {
    const drawing = { cls: 6, split: 'train', index: 3, seed: 1, size: 96, mask: 'parts' } as const
    const { parts } = await drawBird(drawing)
    const next = draws(1, 12, 3, Purpose.drawing)
    const scene = birdScene(birdClass(6), {
      int: (least, end) => least + below(next(), end - least),
      real: (least, end) => least + uniform(next()) * (end - least),
    })
    const cover = await coverOf(scene.parts)
    expect(Array.from(parts ?? [])).toEqual(cover.map((value) => (value >= 128 ? 255 : 0)))
  })

  test('are written beside those of the birds, inside them, and do no harm', async () => {
    const root = await tree()
    await writeDrawnBirds({ root, ...small, masks: 'parts' })
    const files = await hashes(root)
    expect(files).toMatchObject(await drawn({ masks: true }))
    const of = (kind: string) => Object.keys(files).filter((file) => file.startsWith(kind))
    expect(of('parts').map((file) => file.replace('parts', 'masks'))).toEqual(of('masks'))
    const drawing = { cls: 2, split: 'test', index: 1, seed: 5, size: 32 } as const
    const { mask = [], parts = [] } = await drawBird({ ...drawing, mask: 'parts' })
    const name = birdClassNames(3)[2]
    const { pixels } = await decode(join(root, 'parts/test', `${name}`, '001.png'))
    expect(Array.from(parts, (_, at) => pixels[at * 3])).toEqual([...parts])
    const [inside, out] = [mask, parts].map((of) => of.filter((value) => value === 255).length)
    expect(out).toBeGreaterThan(10)
    expect(out).toBeLessThan(inside as number)
    for (const masks of [undefined, true, 'parts'] as const) {
      await writeDrawnBirds({ root, ...small, ...(masks && { masks }) })
    }
    const plainMasks = await tree()
    await writeDrawnBirds({ root: plainMasks, ...small, masks: true })
    await expect(writeDrawnBirds({ root: plainMasks, ...small, masks: 'parts' })).rejects.toEqual(
      dataError(plainMasks, 'masks true instead of parts'),
    )
  })
})

describe('the kinds of birds', () => {
  const kinds = Array.from({ length: MAX_BIRD_CLASSES }, (_, cls) => birdClass(cls))
  const marks = ({ name: _name, ...rest }: (typeof kinds)[0]) => JSON.stringify(rest)

  test('are all different, at least 200 of them, and so are their names', () => {
    expect(MAX_BIRD_CLASSES).toBeGreaterThanOrEqual(200)
    expect(new Set(kinds.map(marks)).size).toBe(MAX_BIRD_CLASSES)
    expect(new Set(birdClassNames(MAX_BIRD_CLASSES)).size).toBe(MAX_BIRD_CLASSES)
    expect(birdClassNames(120)).toEqual(birdClassNames(120).toSorted())
  })

  test('are fine-grained: 20 classes share 4 bodies and differ in every mark', () => {
    const first = kinds.slice(0, 20)
    const values = (of: (kind: (typeof kinds)[0]) => unknown) =>
      new Set(first.map((kind) => JSON.stringify(of(kind)) ?? 'none')).size
    expect(values(({ body }) => body)).toBe(4)
    expect(values(({ crown }) => crown)).toBe(4)
    expect(values(({ wingBars }) => wingBars)).toBe(3)
    expect(values(({ beak }) => beak)).toBeGreaterThanOrEqual(3)
    expect(values(({ tailBand }) => tailBand)).toBe(3)
    expect(values(({ eyeRing }) => eyeRing)).toBe(2)
  })

  test('a class that is not there is refused', () => {
    for (const cls of [-1, 0.5, MAX_BIRD_CLASSES]) {
      expect(() => birdClass(cls)).toThrow(expect.objectContaining({ code: 'E_ARGUMENT' }))
    }
  })
})

describe('drawn-birds refuses', () => {
  test('to go on once aborted, and leaves nothing', async () => {
    const parent = await tree()
    const signal = AbortSignal.abort()
    const drawing = writeDrawnBirds({ root: join(parent, 'birds'), ...small, signal })
    await expect(drawing).rejects.toMatchObject({ code: 'E_ABORTED' })
    expect(await readdir(parent)).toEqual([])
  })

  test('a folder of other options, and leaves it as it is', async () => {
    const root = await tree()
    await writeDrawnBirds({ root, ...small })
    const before = await hashes(root)
    for (const [change, part] of [
      [{ seed: 6 }, 'seed 5 instead of 6'],
      [{ classes: 4, size: 48 }, 'classes 3 instead of 4, size 32 instead of 48'],
      [{ masks: true }, 'masks false instead of true'],
    ] as const) {
      const drawing = drawnBirds({ root, ...small, ...change })
      await expect(drawing).rejects.toEqual(dataError(root, part, 'delete the folder'))
    }
    expect(await hashes(root)).toEqual(before)
  })

  test('a folder of other files, whatever they are, and leaves it as it is', async () => {
    for (const files of [
      empty('train/holiday/me.jpg'),
      { 'drawn-birds.json': '{ not JSON' },
      { 'drawn-birds.json': '{"classes": 3}' },
    ]) {
      const root = await tree(files)
      await expect(writeDrawnBirds({ root, ...small })).rejects.toEqual(
        dataError(root, 'other files'),
      )
      expect(Object.keys(await hashes(root))).toEqual(Object.keys(files))
    }
    const root = await tree(empty('file'))
    await expect(writeDrawnBirds({ root: join(root, 'file') })).rejects.toEqual(
      dataError('ENOTDIR'),
    )
  })

  test.each([
    { classes: 0 },
    { classes: MAX_BIRD_CLASSES + 1 },
    { firstClass: -1 },
    { firstClass: MAX_BIRD_CLASSES - 2 },
    { trainPerClass: 0 },
    { testPerClass: 1.5 },
    { size: 15 },
    { size: 1001 },
  ])('%j', async (change) => {
    const root = join(await tree(), 'birds')
    const [name = ''] = Object.keys(change)
    const error = { code: 'E_CONFIG', message: expect.stringContaining(name) }
    await expect(writeDrawnBirds({ root, ...small, ...change })).rejects.toMatchObject(error)
    await expect(readdir(root)).rejects.toThrow('ENOENT')
  })

  test('a folder that cannot be made, with E_IO', async () => {
    const root = join(await tree(), 'b'.repeat(250)) // the unfinished folder's name is too long
    await expect(writeDrawnBirds({ root, ...small })).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining(root),
    })
  })
})
