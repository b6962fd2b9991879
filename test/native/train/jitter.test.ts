// A batch's colour jitter: brightness alone is something the pixels can be given beforehand, so a
// step with it equals a step on such pixels, each sample with its own factor in every micro-batch.

import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const count = 5
const factors = [0.5, 1.7, 1, 0, 1.2].map(Math.fround)
const jitter = Float32Array.from(factors.flatMap((brightness) => [brightness, 1, 1]))
const batch = wholeBatch(count, 32, 5)
const imageBytes = batch.pixels.length / count
const brightened = batch.pixels.map((level, at) => {
  const factor = factors[Math.floor(at / imageBytes)] as number
  return Math.min(255, Math.trunc(Math.fround(level * factor)))
})

async function stepped(extra: object, microBatch = count) {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  await trainer.step({ ...batch, ...extra }, { step: 0, seed: 1, lr: 0.1, microBatch })
  const { loss, gradNorm } = await trainer.stats()
  await trainer.dispose()
  return { loss, gradNorm }
}

test.each([count, 3])('micro-batch %s', async (microBatch) => {
  const expected = await stepped({ pixels: brightened }, microBatch)
  expect(await stepped({ jitter }, microBatch)).toEqual(expected)
  expect(await stepped({}, microBatch)).not.toEqual(expected)
})

test('gatherAugment takes it and rounds to the dtype asked for', async () => {
  const options = { outHeight: 32, outWidth: 32, mean: [0.5, 0.45, 0.3], std: [0.2, 0.3, 0.4] }
  const planes = await native().gatherAugment({ ...batch, jitter }, options)
  const given = { ...batch, pixels: brightened }
  expect(planes).toEqual(await native().gatherAugment(given, options))
  for (const [dtype, unit] of [
    ['bf16', 2 ** -8],
    ['fp16', 2 ** -11],
  ] as const) {
    const rounded = await native().gatherAugment(given, { ...options, dtype })
    const error = planes.map((value, at) => Math.abs((rounded[at] as number) / value - 1))
    const largest = error.reduce((a, b) => Math.max(a, b))
    expect(largest).toBeLessThanOrEqual(unit)
    expect(largest).toBeGreaterThan(unit / 2)
  }
})

test('a factor out of range', async () => {
  await expect(stepped({ jitter: jitter.map((factor) => factor - 1) })).rejects.toMatchObject({
    code: 'E_ARGUMENT',
    message: expect.stringContaining('jitter factors 0..256'),
  })
})
