// createPredictor: the same answers for a path, its bytes and its pixels, whoever asks beside.

import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  type NativeBatch,
  type NativeTrainer,
  native,
  type PixelSource,
} from '../../../lib/binding.js'
import { decode, encodeJpeg, encodePng } from '../../../lib/data/images.js'
import { predictEach } from '../../../lib/predict/each.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import type { Answer } from '../../../lib/predict/outputs.js'
import { createPredictor, type Predictor, type RawImage } from '../../../lib/predict/predictor.js'
import { pixels } from '../../support/formula-batch.js'
import { changeTensors } from '../../support/onnx.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { CLASSES, writeModel } from '../../support/untrained-model.js'

const folder = temporaryFolder()
const files: string[] = []
const bytes: Buffer[] = []
const raw: RawImage[] = []
let weights: string
let predictor: Predictor
/** Of each file, by predict. */
let wanted: Answer[]

/** Up to the rounding of batches of other sizes. */
const near = ({ top }: Answer) => ({
  top: top.map((one) => ({ ...one, probability: expect.closeTo(one.probability, 5) })),
})

beforeAll(async () => {
  weights = await writeModel(folder)
  for (let n = 0; n < 12; n++) {
    const [height, width] = [40 + 3 * n, 90 - 5 * n]
    const image = { pixels: pixels(n + 1, height, width).slice(-3 * height * width), height, width }
    const path = join(folder, `${n}.${n % 2 ? 'png' : 'jpg'}`)
    writeFileSync(path, n % 2 ? await encodePng(image) : await encodeJpeg(image, 80))
    files.push(path)
    bytes.push(readFileSync(path))
    const { pixels: data, ...size } = await decode(path)
    raw.push({ data, ...size })
  }
  predictor = await createPredictor({ weights, threads: 1 })
  wanted = (await predict(files, { weights, threads: 1 })).map(({ top }) => ({ top }))
})
afterAll(() => predictor.dispose())

test('a path, its bytes and its pixels have equal probabilities, those of predict', async () => {
  expect(predictor.classes).toEqual(CLASSES)
  expect(new Set(wanted.map(({ top }) => top[0]?.probability)).size).toBe(files.length)
  const answers = await predictor.predict(files)
  expect(answers).toEqual(wanted)
  expect(await predictor.predict(bytes)).toEqual(wanted)
  expect(await predictor.predict(raw)).toEqual(wanted)
  const views = bytes.map((one) =>
    new Uint8Array(Buffer.concat([Buffer.alloc(5), one])).subarray(5),
  )
  expect(await predictor.predict(views, { top: 1 })).toEqual(
    wanted.map(({ top }) => ({ top: top.slice(0, 1) })),
  )
})

test('they are those of the evaluation in training', async () => {
  const rows = files.map((path, n) => `${basename(path)},${CLASSES[n % 5]},test`)
  const training = CLASSES.map((name) => `0.jpg,${name},train`)
  const root = join(folder, 'list.csv')
  writeFileSync(root, ['path,class,split', ...training, ...rows].join('\n'))
  const { loss } = await evaluate({ weights, threads: 1, data: { name: 'csv', root } })
  const losses = wanted.map(({ top }, n) => {
    const right = top.find((one) => one.class === CLASSES[n % 5])
    return -Math.log(right?.probability ?? 0)
  })
  expect(losses.reduce((a, b) => a + b) / files.length).toBeCloseTo(loss, 5)
})

test('1,000 calls of ten groups: each gets its own answers, and they share batches', async () => {
  const { trainer, counted } = await watched()
  const kinds = [files, bytes, raw] as const
  const group = async (number: number) => {
    const calls = Array.from({ length: 100 }, async (_, call) => {
      const at = (number * 7 + call) % files.length
      const kind = kinds[(number + call) % 3] as typeof files
      const [answer] = await trainer.predict([kind[at] as string])
      expect(answer).toEqual(near(wanted[at] as Answer))
    })
    await Promise.all(calls)
  }
  await Promise.all(Array.from({ length: 10 }, (_, number) => group(number)))
  expect(counted.images).toBe(1000)
  expect(counted.batches).toBe(250)
  await trainer.dispose()
})

test('an aborted call rejects, does less, and harms no other', async () => {
  const { trainer, counted } = await watched()
  const controller = new AbortController()
  const many = Array.from({ length: 400 }, (_, n) => files[n % 12] as string)
  const aborted = trainer.predict(many, { signal: controller.signal })
  const beside = trainer.predict(files)
  const embedded = trainer.embed(files.slice(0, 3))
  while (counted.batches === 0) await setTimeout(1)
  controller.abort()
  const message = expect.stringMatching(/^predictor\.predict: stopped/)
  await expect(aborted).rejects.toMatchObject({ code: 'E_ABORTED', message })
  expect(await beside).toEqual(wanted.map(near))
  expect((await embedded).map(({ embedding }) => embedding.length)).toEqual([32, 32, 32])
  const early = trainer.predict(files, { signal: AbortSignal.abort() })
  await expect(early).rejects.toMatchObject({ code: 'E_ABORTED' })
  await trainer.dispose()
  expect(counted.images).toBeLessThan(200)
})

test('dispose while busy: calls made before it end, later ones are refused', async () => {
  const busy = await createPredictor({ weights, threads: 1 })
  const calls = [busy.predict(files), busy.predict(bytes), busy.embed(raw)]
  const disposed = busy.dispose()
  await expect(busy.predict(files)).rejects.toMatchObject({ code: 'E_STATE' })
  await expect(busy.embed([])).rejects.toMatchObject({ code: 'E_STATE' })
  expect(await calls[0]).toEqual(wanted.map(near))
  expect(await calls[1]).toEqual(wanted.map(near))
  expect(await calls[2]).toHaveLength(12)
  await disposed
  await busy.dispose()
})

test('an image that cannot be decoded has an error in its place', async () => {
  const cut = (bytes[0] as Buffer).subarray(0, 60)
  const [good = ''] = files
  const given = [good, 'missing.jpg', new Uint8Array(), good, Buffer.from('GIF89a'), cut, folder]
  const answers = await predictor.predict(given)
  const bad = (words: RegExp) => ({
    top: [],
    error: expect.objectContaining({ code: 'E_IMAGE', message: expect.stringMatching(words) }),
  })
  const right = near(wanted[0] as Answer)
  expect(answers).toEqual([
    right,
    bad(/missing\.jpg .*ENOENT/),
    bad(/images\.2 is empty/),
    right,
    bad(/images\.4 is of another format/),
    bad(/images\.5 cannot be decoded/),
    bad(/is a folder/),
  ])
  const [first, second] = await predictor.embed([cut, good])
  expect(first).toMatchObject({ embedding: new Float32Array(), error: { code: 'E_IMAGE' } })
  expect(second?.embedding.some((value) => value > 0)).toBe(true)
  expect(second).not.toHaveProperty('error')
})

test('what is no image is refused, and its lengths are checked', async () => {
  const data = new Uint8Array(12)
  for (const [image, words] of [
    [{ data, height: 2, width: 3 }, /images\.1: .* 18 bytes.* received 12/],
    [{ data: new Uint8Array(24), height: 2, width: 3 }, /received 24.*fourth channel/],
    [{ data: [...data], height: 2, width: 2 }, /expected a path/],
    [{ data, height: 2.5, width: 2 }, /expected a path/],
    [{ data: new Uint8Array(), height: 0, width: 0 }, /expected a path/],
    [7, /expected a path/],
    [null, /expected a path/],
    ['', /expected a path/],
  ] as const) {
    const call = predictor.predict([files[0] as string, image as never])
    const message = expect.stringMatching(words)
    await expect(call).rejects.toMatchObject({ code: 'E_ARGUMENT', message })
  }
  for (const call of [
    predictor.predict('a.jpg' as never),
    predictor.predict([], { top: 0 }),
    predictor.embed([], { signal: {} as never }),
    createPredictor({ weights, threads: 0 }),
  ]) {
    await expect(call).rejects.toMatchObject({ code: 'E_ARGUMENT' })
  }
})

test('both views: the mean of two predictions, the embedding of the image itself', async () => {
  const both = await createPredictor({ weights, threads: 1, flip: true })
  expect(await both.predict(files)).toEqual(
    (await predict(files, { weights, threads: 1, flip: true })).map(({ top }) => ({ top })),
  )
  expect(await both.predict(files)).not.toEqual(wanted)
  expect(await both.embed(files)).toEqual(await predictor.embed(files))
  await both.dispose()
})

test('what createPredictor says of a model is said by createPredictor', async () => {
  const diverged = join(folder, 'diverged.safetensors')
  cpSync(weights, diverged)
  changeTensors(diverged, (name) => (/fc2.bias$/.test(name) ? () => Number.NaN : undefined))
  const message = expect.stringMatching(/^createPredictor: expected finite outputs/)
  const call = createPredictor({ weights: diverged, threads: 1 })
  await expect(call).rejects.toMatchObject({ code: 'E_NUMERICS', message })
})

test.each([false, true])(
  'with flip %s it settles once the network has done what it does in the first call of one image',
  async (flip) => {
    const { counted, restore } = watchedTrainers()
    const own = await createPredictor({ weights, threads: 1, flip })
    restore()
    const warmUp = counted.ended.splice(0)
    await own.predict(files.slice(0, 1))
    expect(warmUp).toEqual(counted.ended)
    expect(warmUp).toEqual(Array(flip ? 2 : 1).fill('predict [1, 48, 48, 3]'))
    await own.dispose()
  },
)

test('a model that is none frees what it opened', async () => {
  const missing = { weights: join(folder, 'missing') }
  await expect(createPredictor(missing)).rejects.toMatchObject({ code: 'E_CHECKPOINT' })
})

test('files one after another: no more are in work than a few batches', async () => {
  const { counted, restore } = watchedTrainers()
  const pictures = Array.from({ length: 240 }, (_, n) => ({ path: files[n % 12] as string }))
  const seen: string[] = []
  for await (const { path } of predictEach(pictures, { weights, threads: 1 })) {
    if (seen.length === 0) await setTimeout(100)
    if (seen.length === 0) expect(counted.batches).toBeLessThanOrEqual(4)
    seen.push(path)
    if (seen.length === 100) break
  }
  expect(seen).toEqual(pictures.slice(0, 100).map(({ path }) => path))
  expect(counted.images).toBeLessThan(140)
  restore()
})

/** Counts what the trainers made from now on are given. */
function watchedTrainers() {
  const counted = { batches: 0, images: 0, ended: [] as string[] }
  const create = native().NativeTrainer.create
  const spy = vi.spyOn(native().NativeTrainer, 'create').mockImplementation(async (config) => {
    const trainer = await create(config)
    return new Proxy(trainer, {
      get(_, name: keyof NativeTrainer) {
        const call = trainer[name] as ((...given: unknown[]) => unknown) | undefined
        return (
          call &&
          (async (...given: unknown[]) => {
            if (name !== 'predict' && name !== 'embed') return call.apply(trainer, given)
            const { count, height, width } = given[0] as NativeBatch & PixelSource
            counted.batches++
            counted.images += count
            const output = await call.apply(trainer, given)
            counted.ended.push(`${name} [${count}, ${height}, ${width}, 3]`)
            return output
          })
        )
      },
    })
  })
  return { counted, restore: () => spy.mockRestore() }
}

/** A predictor whose batches are counted after it was warmed up. */
async function watched() {
  const { counted, restore } = watchedTrainers()
  const trainer = await createPredictor({ weights, threads: 1 })
  restore()
  Object.assign(counted, { batches: 0, images: 0 })
  return { trainer, counted }
}
