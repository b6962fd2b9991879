// A batch's erased rectangles: gatherAugment against a plain twin, to the bit; a step on them; and a whole
// run, which is the same with 1 and 4 decoders, with and without a store, and resumed.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { erasing } from '../../../lib/data/augment.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import { loader } from '../../../lib/data/loader.js'
import { train } from '../../../lib/train/train.js'
import { pixels, toyTrainer, wholeBatch, windows } from '../../support/formula-batch.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const [count, height, width] = [6, 24, 36]
const image = { height: 28, width: 40 }
const places = {
  ...image,
  count,
  pixels: pixels(count, image.height, image.width),
  windows: windows(0, count, image, { height, width }, 4),
  jitter: Float32Array.from({ length: count * 3 }, (_, at) => 0.5 + (at % 5) / 4),
}
const rectangles = [
  [3, 5, 7, 11],
  [0, 0, height, width],
  [0, 0, 0, 0],
  [height - 1, width - 1, 1, 1],
  [2, 0, 20, width],
  [0, 30, height, 5],
] as const
const erased = Int32Array.from(rectangles.flat())

test.each(['fp32', 'bf16', 'fp16'] as const)(
  'gatherAugment fills them with 0, %s',
  async (dtype) => {
    const options = {
      ...{ outHeight: height, outWidth: width, dtype },
      ...{ mean: [0.5, 0.45, 0.3], std: [0.2, 0.3, 0.4] },
    }
    const expected = await native().gatherAugment(places, options)
    for (const [n, [top, left, high, wide]] of rectangles.entries()) {
      for (let channel = 0; channel < 3; channel++) {
        for (let y = top; y < top + high; y++) {
          const line = ((n * 3 + channel) * height + y) * width
          expected.fill(0, line + left, line + left + wide)
        }
      }
    }
    const received = await native().gatherAugment({ ...places, erased }, options)
    expect(Buffer.from(received.buffer)).toEqual(Buffer.from(expected.buffer))
  },
)

test.each([5, 3])(
  'a step on black images with mean 0 is a step on erased ones, micro-batch %s',
  async (microBatch) => {
    const batch = wholeBatch(5, 32, 5)
    const stepOn = async (extra: object) => {
      const trainer = await native().NativeTrainer.create(toyTrainer({ mean: [0, 0, 0] }))
      await trainer.step({ ...batch, ...extra }, { step: 0, seed: 1, lr: 0.1, microBatch })
      const { loss, gradNorm } = await trainer.stats()
      await trainer.dispose()
      return { loss, gradNorm }
    }
    const black = batch.pixels.map((level, at) => (at < 2 * 32 * 32 * 3 ? 0 : level))
    const whole = Int32Array.from([0, 0, 32, 32, 0, 0, 32, 32, ...new Array(12).fill(0)])
    const expected = await stepOn({ pixels: black })
    expect(await stepOn({ erased: whole })).toEqual(expected)
    expect(await stepOn({})).not.toEqual(expected)
  },
)

test('a rectangle that leaves the crop', async () => {
  const options = { outHeight: height, outWidth: width, mean: [0, 0, 0], std: [1, 1, 1] }
  const outside = erased.with(3, width)
  await expect(
    native().gatherAugment({ ...places, erased: outside }, options),
  ).rejects.toMatchObject({
    code: 'E_ARGUMENT',
    message: expect.stringContaining('inside the output of 24 x 36'),
  })
})

const config = (overrides: Partial<ConfigInput>, data: object): ConfigInput => {
  const input = toyConfig(folder, { optim: { lr: 0.05, epochs: 2, batchSize: 8 }, ...overrides })
  return { ...input, data: { ...input.data, randomErasing: 0.5, ...data } } as ConfigInput
}

test('the loader gives each training sample its own, and test samples none', async () => {
  const complete = defineConfig(config({}, { store: 'off', crop: [48, 40] }))
  const dataset = await openDataset(complete.data)
  for await (const batch of loader(dataset, complete, { split: 'train', epoch: 3 })) {
    const expected = Array.from(batch.samples, (sample) => erasing(1, 3, sample, 0.5, [48, 40]))
    expect(Array.from(batch.erased ?? [])).toEqual(expected.flat())
    batch.release()
  }
  for await (const batch of loader(dataset, complete, { split: 'test', epoch: 3 })) {
    expect(batch).not.toHaveProperty('erased')
    batch.release()
  }
})

test('a run: the same with 1 and 4 decoders, store on and off, and resumed within an epoch', async () => {
  const weightsOf = (runDir: string) => {
    const file = readFileSync(join(runDir, 'last/model.safetensors'))
    const values = file.subarray(8 + Number(file.readBigUInt64LE(0))) // what differs names the run
    return createHash('sha256').update(values).digest('hex')
  }
  const outcome = async (input: ConfigInput, options = {}) => {
    const { runDir, last } = await train(input, options).result
    return { weights: weightsOf(runDir), loss: last.loss }
  }
  const one = await outcome(config({ name: 'one' }, { store: 'off', decoders: 1 }))
  expect(await outcome(config({ name: 'four' }, { store: 'off', decoders: 4 }))).toEqual(one)
  expect(await outcome(config({ name: 'store' }, { store: 'mmap' }))).toEqual(one)
  expect(await outcome(config({ name: 'none' }, { randomErasing: 0 }))).not.toEqual(one)

  const input = defineConfig(config({ name: 'stopped' }, { store: 'mmap' }))
  expect(await outcome(input, { resume: await stoppedIn('step', 1, input) })).toEqual(one)
})
