// What the boundary refuses: each a McLossError with a code, nothing changed by it.

import { beforeAll, describe, expect, test } from 'vitest'
import {
  type BatchPlaces,
  type NativeBatch,
  type NativeTrainer,
  native,
  type PixelSource,
} from '../../../lib/binding.js'
import { McLossError } from '../../../lib/errors.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const batch = wholeBatch(4, 32, 5)
const options = { step: 0, seed: 1, lr: 0.01 }
const { model } = toyTrainer()

async function refused(promise: Promise<unknown>, code: string, ...texts: (string | RegExp)[]) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(McLossError)
  const { code: received, message } = error as McLossError
  expect(received, message).toBe(code)
  for (const text of texts) expect(message).toMatch(text)
  expect(message).not.toMatch(/frame #|\.cpp:\d+/)
}

describe('create', () => {
  const create = (overrides: Parameters<typeof toyTrainer>[0]) =>
    native().NativeTrainer.create(toyTrainer(overrides))

  test('unknown backbone, head and loss', async () => {
    await refused(create({ model: { ...model, backbone: 'vgg19' } }), 'E_CONFIG', 'vgg19', 'vgg16')
    await refused(create({ model: { ...model, head: 'three' } }), 'E_CONFIG', 'three', 'two-layer')
    await refused(create({ model: { ...model, head: 'torchvision' } }), 'E_CONFIG', 'toy')
    await refused(create({ loss: { name: 'triplet' } as never }), 'E_CONFIG', 'triplet')
    expect(() => native().mapShape({ ...model, backbone: 'vgg19' })).toThrow(McLossError)
  })

  test('fewer channels than classes', async () => {
    const wide = { ...model, numClasses: 33 }
    await refused(create({ model: wide, loss: mcLossConfig }), 'E_ARGUMENT', '32', '33')
    await (await create({ model: wide })).dispose() // cross entropy does not mind
  })

  test('a map of one position with a diversity weight', async () => {
    const small = { ...model, input: { height: 4, width: 4 } }
    await refused(create({ model: small, loss: mcLossConfig }), 'E_ARGUMENT', /1x1/)
    await (await create({ model: small, loss: { ...mcLossConfig, beta: 0 } })).dispose()
  })

  test('a bilinear head that its map is too small for', async () => {
    const bilinear = { ...model, head: 'bilinear' }
    await refused(create({ model: { ...bilinear, reduction: 33 } }), 'E_CONFIG', '32', '33')
    await (await create({ model: { ...bilinear, reduction: 32 } })).dispose()
    const small = { ...bilinear, input: { height: 4, width: 4 } }
    await refused(create({ model: { ...small, pooling: 'isqrt' } }), 'E_ARGUMENT', /1x1/)
    await (await create({ model: small })).dispose()
  })

  test('an input that leaves no map', async () => {
    const tiny = { ...model, input: { height: 3, width: 32 } }
    await refused(create({ model: tiny }), 'E_ARGUMENT', '3x32')
  })

  test("a map that torchvision's VGG head cannot pool once more", async () => {
    const input = { height: 31, width: 64 }
    const small = { ...model, backbone: 'vgg16_bn', head: 'torchvision', input }
    await refused(create({ model: small }), 'E_ARGUMENT', '1x4', 'crop')
  })

  test.each<[string, object]>([
    ['momentum', { momentum: Number.NaN }],
    ['momentum', { momentum: 1 }],
    ['weightDecay', { weightDecay: -1 }],
    ['headLrScale', { headLrScale: Number.POSITIVE_INFINITY }],
  ])('%s as %o', async (name, change) => {
    await refused(create({ optim: { ...toyTrainer().optim, ...change } }), 'E_ARGUMENT', name)
  })

  test.each<[string, object]>([
    ['alpha', { alpha: Number.NaN }],
    ['beta', { beta: -1 }],
    ['keep', { keep: 0 }],
    ['keep', { keep: 1.5 }],
    ['keep', { keep: 'half' }],
    ['labelSmoothing', { labelSmoothing: 1 }],
    ['labelSmoothing', { labelSmoothing: '0.1' }],
    ['smoothing', { smoothing: 0.1 }],
  ])('%s as %o', async (name, change) => {
    await refused(create({ loss: { ...mcLossConfig, ...change } as never }), 'E_ARGUMENT', name)
  })

  test('a loss that needs another last layer', async () => {
    const loss = { name: 'lmcl', scale: 30, margin: 0.35 } as const
    await refused(create({ loss }), 'E_CONFIG', 'linear', "kind: 'cosine', scale: 30")
    const classifier = { kind: 'cosine', scale: 16 } as const
    await refused(create({ loss, model: { ...model, classifier } }), 'E_CONFIG', 'scale: 16')
  })

  test.each<[string, object]>([
    ['kind', { kind: 'angle' }],
    ['scale', { kind: 'cosine' }],
    ['scale', { kind: 'cosine', scale: 0 }],
    ['scale', { kind: 'cosine', scale: 'length' }],
  ])('%s of the classifier as %o', async (name, classifier) => {
    await refused(create({ model: { ...model, classifier } as never }), 'E_ARGUMENT', name)
  })

  const hasGpu = native().deviceCount() > 0
  test.skipIf(hasGpu)(`cuda without a GPU${hasGpu ? ' (a GPU is here)' : ''}`, async () => {
    await refused(create({ device: 'cuda' }), 'E_DEVICE', 'doctor')
  })

  test('values of the wrong kind', async () => {
    await refused(create({ threads: 0 }), 'E_ARGUMENT', 'threads')
    await refused(create({ mean: [0.5, 0.5] as never }), 'E_ARGUMENT', 'mean')
    await refused(create({ precision: 'fp8' as never }), 'E_ARGUMENT', 'fp8')
    await refused(create({ worldSize: 2 }), 'E_ARGUMENT', 'worldSize')
    await refused(native().NativeTrainer.create(undefined as never), 'E_ARGUMENT')
  })
})

describe('batches and options', () => {
  let trainer: NativeTrainer
  beforeAll(async () => {
    trainer = await native().NativeTrainer.create(toyTrainer())
    return () => trainer.dispose()
  })

  test('labels out of range', async () => {
    for (const label of [-1, 5]) {
      const labels = Int32Array.of(0, 1, label, 3)
      await refused(trainer.step({ ...batch, labels }, options), 'E_ARGUMENT', `${label}`, /0\.\.4/)
      await refused(trainer.evaluate({ ...batch, labels }), 'E_ARGUMENT', `${label}`)
    }
    const sums = { steps: 0, n: 0, loss: 0 }
    expect(await trainer.stats()).toMatchObject(sums)
  })

  const wrong: [string, Partial<Record<keyof (BatchPlaces & PixelSource), unknown>>][] = [
    ['pixels', { pixels: batch.pixels.subarray(1) }],
    ['pixels', { pixels: new Float32Array(batch.pixels.length) }],
    ['windows', { windows: new Int32Array(11) }],
    ['jitter', { jitter: new Float32Array(11) }],
    ['labels', { labels: new Int32Array(5) }],
    ['labels', { labels: undefined }],
    ['count', { count: 0 }],
    ['count', { count: 1.5 }],
    ['pixels', { height: 2 ** 20, width: 2 ** 20 }],
  ]
  for (const [name, change] of wrong) {
    test(`wrong ${Object.keys(change).join(', ')}: the message names ${name}`, async () => {
      const bad = { ...batch, ...change } as NativeBatch
      await refused(trainer.step(bad, options), 'E_ARGUMENT', name)
    })
  }

  test('options of the wrong kind', async () => {
    for (const [name, value] of [
      ['lr', Number.NaN],
      ['lr', -1],
      ['step', 2 ** 32],
      ['seed', 0.5],
      ['microBatch', 0],
      ['scalar', Number.NaN],
    ] as const) {
      await refused(trainer.step(batch, { ...options, [name]: value }), 'E_ARGUMENT', name)
    }
  })

  test('channels the map does not have', async () => {
    await refused(trainer.features(batch, { channels: [32] }), 'E_ARGUMENT', '32')
    await refused(trainer.features(batch, { channels: [-1] }), 'E_ARGUMENT', 'channels')
  })

  test('and it still trains', async () => {
    await trainer.step(batch, options)
    expect(await trainer.stats()).toMatchObject({ steps: 1, n: 4 })
  })
})
