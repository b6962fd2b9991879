import { mkdtempSync, rmSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PixelSource } from '../../../lib/binding.js'
import { window } from '../../../lib/data/augment.js'
import type { Batch, Dataset } from '../../../lib/data/batch.js'
import { decodeTo } from '../../../lib/data/images.js'
import { type EpochOptions, type LoaderOptions, loader } from '../../../lib/data/loader.js'
import { batches, order } from '../../../lib/data/sampler.js'

vi.mock('../../../lib/data/images.js', async (original) => ({
  ...(await original<typeof import('../../../lib/data/images.js')>()),
  decodeTo: vi.fn(),
}))
const { decodeTo: decodeFiles } = await vi.importActual<
  typeof import('../../../lib/data/images.js')
>('../../../lib/data/images.js')

const COUNT = 22
const CLASSES = 5
const dataset: Dataset = {
  classes: Array.from({ length: CLASSES }, (_, label) => `class ${label}`),
  train: Array.from({ length: COUNT }, (_, at) => ({ path: `${at}`, label: at % CLASSES })),
  test: Array.from({ length: 7 }, (_, at) => ({ path: `${100 + at}`, label: at % CLASSES })),
}
const options: LoaderOptions = {
  seed: 3,
  data: { resize: [4, 6], crop: [3, 3], padding: 1, flip: true, prefetch: 2, decoders: 3 },
  optim: { batchSize: 4, dropLast: false },
}
const BYTES = 4 * 6 * 3
const train: EpochOptions = { epoch: 1, split: 'train' }

/** Every pixel of image number n is n; how long each takes has nothing to do with its place. */
const fake = { started: 0, running: 0, mostRunning: 0, wait: async (_image: number) => {} }
beforeEach(() => {
  Object.assign(fake, { started: 0, running: 0, mostRunning: 0 })
  fake.wait = (image) => setTimeout((image * 7) % 5)
  vi.mocked(decodeTo).mockImplementation(async ({ path }, _size, out) => {
    fake.started++
    fake.running++
    fake.mostRunning = Math.max(fake.mostRunning, fake.running)
    await fake.wait(Number(path)).finally(() => fake.running--)
    out.fill(Number(path))
  })
})

function withData(change: Partial<LoaderOptions['data']>): LoaderOptions {
  return { ...options, data: { ...options.data, ...change } }
}

const pixelsOf = (batch: Batch) => (batch as Batch & PixelSource).pixels

/** What a batch holds, as plain values that stay when its buffer goes back. */
function plain(batch: Batch) {
  const { pixels, windows, labels, samples, ...rest } = batch as Batch & PixelSource
  const { count, height, width, index } = rest
  const arrays = { pixels, windows, labels, samples }
  const copies = Object.entries(arrays).map(([name, array]) => [name, Array.from(array)])
  return { count, height, width, index, ...Object.fromEntries(copies) }
}

async function read(settings = options, epoch = train, data = dataset) {
  const all = []
  for await (const batch of loader(data, settings, epoch)) {
    all.push(plain(batch))
    batch.release()
  }
  return all
}

/** Lets everything happen that does not wait for a decoder. */
async function settle() {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

function rejection(code: string, part = '') {
  return expect.objectContaining({ code, message: expect.stringContaining(part) })
}

describe('batches', () => {
  test('are what sampler and augment say, labels and pixels of their samples', async () => {
    const plan = batches(order(COUNT, 3, 1), 4, false)
    const expected = plan.map((indices, index) => {
      const samples = Array.from(indices)
      const windows = samples.map((sample) => window(3, 1, sample, options.data, 'train'))
      return {
        count: samples.length,
        height: 4,
        width: 6,
        index,
        samples,
        labels: samples.map((sample) => sample % CLASSES),
        windows: windows.flatMap(({ top, left, flip }) => [top, left, flip ? 1 : 0]),
        pixels: samples.flatMap((sample) => Array(BYTES).fill(sample)),
      }
    })
    expect(await read()).toEqual(expected)
    expect(loader(dataset, options, train).length).toBe(6)
  })

  test('are the same for any number of decoders and any prefetch', async () => {
    const expected = await read()
    for (const [decoders, prefetch] of [
      [1, 1],
      [1, 4],
      [2, 3],
      [8, 1],
      [16, 50],
    ] as const) {
      fake.wait = () => setTimeout(Math.random() * 4)
      expect(await read(withData({ decoders, prefetch }))).toEqual(expected)
    }
  })

  test('of the test split: file order, centre crops, the last short one too', async () => {
    const dropLast = { ...options, optim: { batchSize: 4, dropLast: true } }
    const all = await read(dropLast, { epoch: 5, split: 'test' })
    expect(all.map(({ samples }) => samples)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6],
    ])
    expect(all[1]?.windows).toEqual([0, 2, 0, 0, 2, 0, 0, 2, 0])
    expect(all[1]?.pixels).toHaveLength(3 * BYTES)
    expect(all).toEqual(await read(dropLast, { epoch: 0, split: 'test' }))
    expect((await read(dropLast)).map(({ count }) => count)).toEqual([4, 4, 4, 4, 4])
  })

  test('from startBatch on are the rest of the epoch', async () => {
    const all = await read()
    expect(await read(options, { ...train, startBatch: 4 })).toEqual(all.slice(4))
    expect(fake.started).toBe(COUNT + COUNT - 16) // the skipped ones are not decoded
    expect(await read(options, { ...train, startBatch: 6 })).toEqual([])
  })

  test('of two ranks are together those of one', async () => {
    const whole = await read()
    const ranks = [0, 1].map((rank) => read(options, { ...train, rank, worldSize: 2 }))
    const [first = [], second = []] = await Promise.all(ranks)
    expect([first.length, second.length]).toEqual([6, 6])
    for (const [index, batch] of whole.entries()) {
      for (const key of ['samples', 'labels', 'windows', 'pixels']) {
        const both = [first, second].flatMap((rank) => rank[index]?.[key])
        expect(both).toEqual(batch[key])
      }
    }
  })
})

describe('reading ahead', () => {
  test('begins with the iteration and stops at `prefetch` unread batches', async () => {
    fake.wait = async () => {}
    const { prefetch, decoders } = { prefetch: 2, decoders: 100 }
    const iterator = loader(dataset, withData({ prefetch, decoders }), train)[
      Symbol.asyncIterator
    ]()
    await settle()
    expect(fake.started).toBe(0)
    for (let read = 1; read <= 3; read++) {
      await iterator.next()
      await settle()
      expect(fake.started).toBe((read + prefetch) * 4)
    }
    await iterator.return?.()
  })

  test('decodes `decoders` images at a time, over batches', async () => {
    await read(withData({ decoders: 6, prefetch: 3 }))
    expect(fake.mostRunning).toBe(6)
  })

  test('keeps the two batches a reader holds; buffers of released ones go round', async () => {
    const held: [Batch, ReturnType<typeof plain>][] = []
    const buffers = new Set<ArrayBufferLike>()
    const pairs = { ...options, optim: { batchSize: 2, dropLast: false } }
    for await (const batch of loader(dataset, pairs, train)) {
      buffers.add(pixelsOf(batch).buffer)
      held.push([batch, plain(batch)])
      await setTimeout(5)
      if (held.length <= 2) continue
      const [oldest, before] = held.shift() as (typeof held)[0]
      expect(plain(oldest)).toEqual(before)
      oldest.release()
    }
    for (const [batch, before] of held) expect(plain(batch)).toEqual(before)
    // Three in the reader's hands for a moment, two ahead; eleven batches were read.
    expect(buffers.size).toBeLessThanOrEqual(5)
  })

  test('lends a buffer to one batch at a time, also when one is released twice', async () => {
    const held: ArrayBufferLike[] = []
    for await (const batch of loader(dataset, options, train)) {
      if (batch.index > 0) held.push(pixelsOf(batch).buffer)
      else for (let time = 0; time < 2; time++) batch.release()
    }
    expect(new Set(held).size).toBe(5)
  })
})

describe('ending early leaves nothing running', () => {
  test('a reader that breaks off; images that wait for a decoder are not begun', async () => {
    let started = 0
    for await (const batch of loader(dataset, withData({ decoders: 1 }), train)) {
      started = fake.started
      if (batch.index === 1) break
    }
    expect([fake.started, fake.running]).toEqual([started, 0])
    expect(started).toBeLessThan(16)
    await setTimeout(20)
    expect(fake.started).toBe(started)
  })

  test('an abort before', async () => {
    const aborted = { ...train, signal: AbortSignal.abort() }
    await expect(read(options, aborted)).rejects.toEqual(rejection('E_ABORTED'))
    expect(fake.started).toBe(0)
  })

  test('an abort while images are being decoded', async () => {
    const controller = new AbortController()
    fake.wait = async () => {
      if (fake.started === 6) controller.abort()
      await setTimeout(3)
    }
    const reading = read(options, { ...train, signal: controller.signal })
    await expect(reading).rejects.toEqual(rejection('E_ABORTED'))
    expect([fake.started, fake.running]).toEqual([6, 0])
  })

  test('an image that cannot be decoded; the batches before it still come', async () => {
    const bad = order(COUNT, 3, 1)[9] // in batch 2
    fake.wait = async (image) => {
      if (image === bad) throw new Error('bad image')
      await setTimeout(3)
    }
    const seen: number[] = []
    const reading = async () => {
      for await (const { index } of loader(dataset, options, train)) seen.push(index)
    }
    await expect(reading()).rejects.toThrow('bad image')
    expect(seen).toEqual([0, 1])
    expect(fake.running).toBe(0)
    const { started } = fake
    await setTimeout(20)
    expect(fake.started).toBe(started)
  })
})

describe('real files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mcloss-loader-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const fixture = join(import.meta.dirname, '../../fixtures', 'images', '444.jpg')

  async function files(): Promise<Dataset> {
    const samples = Array.from({ length: 8 }, (_, at) => ({
      path: join(folder, `${at}.jpg`),
      label: 0,
    }))
    for (const { path } of samples) await copyFile(fixture, path)
    return { classes: ['only'], train: samples, test: samples }
  }
  const resized = withData({ resize: [16, 16], crop: [16, 16], prefetch: 1, decoders: 8 })

  test('are decoded and resized into their rows', async () => {
    vi.mocked(decodeTo).mockImplementation(decodeFiles)
    const one = new Uint8Array(16 * 16 * 3)
    await decodeFiles({ path: fixture }, [16, 16], one)
    const all = await read(resized, { epoch: 0, split: 'test' }, await files())
    expect(all.flatMap(({ pixels }) => pixels)).toEqual(
      Array(8)
        .fill([...one])
        .flat(),
    )
  })

  test('a truncated JPEG rejects with E_IMAGE and its name', async () => {
    let running = 0
    vi.mocked(decodeTo).mockImplementation(async (...args) => {
      running++
      await decodeFiles(...args).finally(() => running--)
    })
    const data = await files()
    const path = join(folder, '2.jpg')
    await writeFile(path, (await readFile(fixture)).subarray(0, 900))
    await expect(read(resized, train, data)).rejects.toEqual(rejection('E_IMAGE', path))
    expect(running).toBe(0)
  })
})

describe('what cannot be met is refused at once', () => {
  const cases: [string, () => unknown, ReturnType<typeof rejection>][] = [
    [
      'prefetch 0',
      () => loader(dataset, withData({ prefetch: 0 }), train),
      rejection('E_CONFIG', 'prefetch'),
    ],
    [
      'decoders 1.5',
      () => loader(dataset, withData({ decoders: 1.5 }), train),
      rejection('E_CONFIG', 'decoders'),
    ],
    [
      'a crop too large',
      () => loader(dataset, withData({ crop: [9, 9] }), train),
      rejection('E_CONFIG', 'fit'),
    ],
    [
      'seed -1',
      () => loader(dataset, { ...options, seed: -1 }, train),
      rejection('E_ARGUMENT', 'seed'),
    ],
    [
      'epoch -1',
      () => loader(dataset, options, { ...train, epoch: -1 }),
      rejection('E_CONFIG', 'epoch'),
    ],
    [
      'startBatch 7',
      () => loader(dataset, options, { ...train, startBatch: 7 }),
      rejection('E_CONFIG', '0..6'),
    ],
    [
      '3 ranks',
      () => loader(dataset, options, { ...train, worldSize: 3 }),
      rejection('E_CONFIG', 'multiple of 3'),
    ],
    [
      'an empty split',
      () => loader({ ...dataset, train: [] }, options, train),
      rejection('E_DATA', 'empty'),
    ],
    [
      'label 5',
      () => loader({ ...dataset, train: [{ path: 'x', label: 5 }] }, options, train),
      rejection('E_DATA', '0..4'),
    ],
  ]
  test.each(cases)('%s', (_name, call, error) => {
    expect(call).toThrow(error)
  })
})
