// channelMaps and explain against a plain computation from the features; the page against hostile names; and
// a run that draws maps trains as one that does not.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { writeDrawnBirds } from '../../../lib/data/datasets/drawn-birds.js'
import { decode } from '../../../lib/data/images.js'
import { type ChannelMaps, channelMaps } from '../../../lib/explain/channel-maps.js'
import { pairsOf } from '../../../lib/explain/confused.js'
import { explain } from '../../../lib/explain/explain.js'
import { type ClassMaps, classMapsOf } from '../../../lib/maps/class-maps.js'
import { groupsOf } from '../../../lib/maps/groups.js'
import { train } from '../../../lib/train/train.js'
import { Trainer } from '../../../lib/train/trainer.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const root = join(folder, 'folders')
const bad = join(folder, 'bad.jpg')
const names = ['<img src=x onerror=alert(1)>', '"&\'\u202egnp', `long ${'x'.repeat(200)}`]
let images: string[]
let weights: string
let plainRun: string

const configOf = (name: string, more: Partial<ConfigInput> = {}) =>
  toyConfig(folder, {
    name,
    data: { name: 'image-folder', root, resize: 64, crop: 56 } as ConfigInput['data'],
    model: { backbone: 'toy', head: 'linear' },
    ...more,
  })

beforeAll(async () => {
  const birds = join(folder, 'birds')
  await writeDrawnBirds({ root: birds, classes: 3, trainPerClass: 8, testPerClass: 5, size: 64 })
  for (const split of ['train', 'test']) {
    mkdirSync(join(root, split), { recursive: true })
    for (const [at, kind] of readdirSync(join(birds, split)).sort().entries()) {
      renameSync(join(birds, split, kind), join(root, split, names[at] as string))
    }
  }
  images = names.map((name) => join(root, 'test', name, '002.jpg'))
  writeFileSync(bad, 'not an image')
  plainRun = (await train(configOf('plain')).result).runDir
  weights = (await train(configOf('drawing', { explain: { images } })).result).runDir
})

/** The features of pictures, cut by hand. */
async function featuresOf(files: string[], channels: number[]) {
  const pixels = new Uint8Array(files.length * 56 * 56 * 3)
  for (const [n, file] of files.entries()) {
    const image = await decode(file)
    for (let y = 0; y < 56; y++) {
      const from = ((y + 4) * 64 + 4) * 3
      pixels.set(image.pixels.subarray(from, from + 56 * 3), (n * 56 + y) * 56 * 3)
    }
  }
  const trainer = await Trainer.create(defineConfig(configOf('plain')), 3)
  await trainer.loadWeights(join(weights, 'best', 'model.safetensors'), { backboneOnly: false })
  const windows = new Int32Array(files.length * 3)
  const batch = { count: files.length, pixels, height: 56, width: 56, windows }
  const [found, logits] = [
    await trainer.features(batch, { channels }),
    await trainer.predict(batch),
  ]
  await trainer.dispose()
  return { ...found, logits }
}

test('channelMaps: the maps, CCMP and h of a plain computation, in groups that are not equal', async () => {
  const found = await channelMaps({
    weights,
    images: [images[0] as string, bad, ...images.slice(1)],
  })
  expect(found[1]).toMatchObject({ path: bad, error: { code: 'E_IMAGE' } })
  const maps = found.filter((one): one is ChannelMaps => one.error === undefined)
  expect(maps.map(({ path }) => path)).toEqual(images)
  const [, , height, width] = (await featuresOf(images, [0])).shape
  const bounds = boundsOf(toyChannels())
  expect(new Set(bounds.map(([begin, end]) => end - begin)).size).toBe(2)
  const all = await featuresOf(images, [...Array(toyChannels()).keys()])
  for (const [n, one] of maps.entries()) {
    const scores = [0, 1, 2].map((k) => all.logits[n * 3 + k] as number)
    expect(one.label).toBe(scores.indexOf(Math.max(...scores)))
    const total = scores.reduce((sum, score) => sum + Math.exp(score), 0)
    expect(one.probability).toBeCloseTo(Math.exp(scores[one.label] as number) / total, 6)
    expect(one.class).toBe([...names].sort()[one.label])
    const [begin, end] = bounds[one.label] as [number, number]
    expect(one.group).toEqual({ begin, end })
    expect(one.shape).toEqual([end - begin, height, width])
    const area = height * width
    const largest = new Array<number>(area).fill(Number.NEGATIVE_INFINITY)
    const shares = new Array<number>(area).fill(0)
    const own: number[] = []
    for (let c = begin; c < end; c++) {
      const first = (n * toyChannels() + c) * area
      let sum = 0
      for (let p = 0; p < area; p++) sum += Math.exp(all.data[first + p] as number)
      for (let p = 0; p < area; p++) {
        const value = all.data[first + p] as number
        own.push(value)
        largest[p] = Math.max(largest[p] as number, value)
        shares[p] = Math.max(shares[p] as number, Math.exp(value) / sum)
      }
    }
    expect(furthest(one.maps, own)).toBeLessThan(1e-5)
    expect(furthest(one.ccmp, largest)).toBeLessThan(1e-5)
    const h = shares.reduce((a, b) => a + b, 0)
    expect(one.h).toBeCloseTo(h, 5)
  }
})

/** Batches of other sizes may round otherwise. */
function furthest(found: Float32Array, expected: number[]): number {
  expect(found).toHaveLength(expected.length)
  return Math.max(...expected.map((value, at) => Math.abs(value - (found[at] as number))))
}

const toyChannels = () =>
  groupsOf('test', {
    ...{ backbone: 'toy', head: 'linear', numClasses: 3, channelsPerClass: 0 },
    input: { height: 56, width: 56 },
  }).at(-1)?.end as number

/** K - r groups of q channels, then r of q + 1. */
function boundsOf(channels: number): [number, number][] {
  const [q, r] = [Math.floor(channels / 3), channels % 3]
  const sizes = [0, 1, 2].map((k) => (k < 3 - r ? q : q + 1))
  return sizes.map((size, k) => {
    const begin = sizes.slice(0, k).reduce((a, b) => a + b, 0)
    return [begin, begin + size]
  })
}

test('classMapsOf: several classes of each picture, whatever their order', async () => {
  const groups = [0, 2, 5].map((begin, k) => ({ class: k, begin, end: [2, 5, 7][k] as number }))
  const trainer = {
    features: async (_: unknown, { channels }: { channels: number[] }) => ({
      data: Float32Array.from([0, 1].flatMap((n) => channels.map((c) => 10 * n + c))),
      shape: [2, channels.length, 1, 1] as [number, number, number, number],
    }),
  }
  const found = await classMapsOf(trainer, {} as never, groups, [[2, 0], [1]])
  const values = (of: ClassMaps[] | undefined) => of?.map(({ maps }) => [...maps])
  expect(found.map(values)).toEqual([
    [
      [5, 6],
      [0, 1],
    ],
    [[12, 13, 14]],
  ])
})

test('explain: the command writes a page in which names are only text, and names the bad picture', () => {
  const out = join(folder, 'page')
  const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
  const given = [cli, 'explain', ...images, bad, '--weights', weights, '--out', out, '--confused']
  const { status, stdout, stderr } = spawnSync(process.execPath, given, { encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toContain('bad.jpg is of another format')
  expect(stdout).toBe(`${join(out, 'index.html')}\n`)
  const page = readFileSync(join(out, 'index.html'), 'utf8')
  expect(page).not.toContain('<img src=x')
  expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;')
  expect(page).toContain('<bdi class="name">&quot;&amp;&#39;\u202egnp</bdi>')
  expect(page).toContain('bad.jpg is of another format')
  expect(page.match(/<(script|link|iframe)/)).toBeNull()
  const sources = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source = '']) => source)
  for (const source of sources) {
    expect(source).toMatch(/^[\w-]+\.png$/)
    expect(existsSync(join(out, source))).toBe(true)
  }
  const { pictures } = JSON.parse(readFileSync(join(out, 'maps.json'), 'utf8'))
  expect(pictures.map(({ path }: { path: string }) => path)).toEqual([...images, bad])
  expect(pictures[3]).toEqual({ path: bad, error: expect.objectContaining({ code: 'E_IMAGE' }) })
  const { classes, file } = pictures[0]
  const [own, other] = classes
  expect([own.role, other.role]).toEqual(['own', 'runner-up'])
  expect(own.probability).toBeGreaterThanOrEqual(other.probability)
  const { begin, end } = own.group
  expect(own.files.channels).toEqual(
    Array.from({ length: end - begin }, (_, at) => `000-own-channel-${begin + at}.png`),
  )
  const files = [file, other.files.ccmp, ...own.files.channels, ...other.files.channels]
  for (const name of files) expect(sources).toContain(name)
})

test('explain: what it cannot use is refused before anything is written', async () => {
  await expect(explain({ weights, images, out: folder })).rejects.toMatchObject({ code: 'E_IO' })
  const out = join(folder, 'never')
  const wrong = { weights, images, out, confused: 'yes' as never }
  await expect(explain(wrong)).rejects.toMatchObject({ code: 'E_ARGUMENT' })
  expect(existsSync(out)).toBe(false)
  await expect(channelMaps({ weights: folder, images })).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
  })
})

test('confused pairs: both ways together, the surest mistake of the more frequent way', () => {
  const answers = [
    [0, 1, 0.6],
    [0, 1, 0.9],
    [1, 0, 0.99],
    [2, 0, 0.5],
    [2, 2, 1],
  ].map(([label = 0, predicted = 0, probability = 0], at) => ({
    ...{ path: `${at}`, label, predicted, probability, labelProbability: 0 },
  }))
  expect(pairsOf(answers, ['a', 'b', 'c'])).toEqual([
    { classes: ['a', 'b'], labels: [0, 1], counts: [2, 1], path: '1' },
    { classes: ['c', 'a'], labels: [2, 0], counts: [1, 0], path: '3' },
  ])
  const even = answers.slice(1, 3)
  expect(pairsOf(even, ['a', 'b'])).toMatchObject([{ classes: ['a', 'b'], counts: [1, 1] }])
})

test('explain.images: a sheet at each evaluation, and the same training to the bit', async () => {
  expect(readdirSync(join(weights, 'maps'))).toEqual(['epoch-0001.png', 'epoch-0002.png'])
  const sheet = await decode(join(weights, 'maps', 'epoch-0002.png'))
  expect(sheet.height).toBeGreaterThan(3 * 160)
  expect(existsSync(join(plainRun, 'maps'))).toBe(false)
  const weightsOf = (run: string) => {
    const bytes = readFileSync(join(run, 'last', 'model.safetensors'))
    return bytes.subarray(8 + Number(bytes.readBigUInt64LE(0))) // the header names the run
  }
  expect(weightsOf(weights).equals(weightsOf(plainRun))).toBe(true)
  const optimizer = (run: string) => readFileSync(join(run, 'last', 'optimizer.safetensors'))
  expect(optimizer(weights).equals(optimizer(plainRun))).toBe(true)
  const losses = (run: string) =>
    readFileSync(join(run, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === 'epoch')
      .map(({ train: { loss }, test: figures }) => ({ loss, figures }))
  expect(losses(weights)).toEqual(losses(plainRun))
})

test('explain.images are decoded before a run begins', async () => {
  const config = configOf('refused', { explain: { images: [...images, bad] } })
  await expect(train(config).result).rejects.toMatchObject({
    code: 'E_IMAGE',
    message: expect.stringContaining('bad.jpg'),
  })
  expect(existsSync(join(folder, 'runs', 'refused'))).toBe(false)
  const many = { images: Array.from({ length: 9 }, () => 'a.jpg') }
  await expect(train(configOf('many', { explain: many })).result).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringMatching(/explain\.images: expected at most 8 paths/),
  })
})
