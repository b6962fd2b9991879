// Class weights in a trainer: what a step reports against the formula on predicted logits, that
// micro-batches are the whole batch, that other terms and evaluation have none, what is refused.

import { expect, test } from 'vitest'
import { type NativeLoss, type NativeTrainerConfig, native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const classes = 5
const batch = wholeBatch(8, 32, classes)
const classWeights = [0, 0.25, 2, 0.75, 1.5]
const { model } = toyTrainer()
// No batch norm and no dropout: a training step sees what predict sees, in micro-batches too.
const plain = { ...model, backbone: 'vgg16', head: 'linear' }
const step = { step: 0, seed: 1, lr: 0 }

const create = (overrides: Partial<NativeTrainerConfig>) =>
  native().NativeTrainer.create(toyTrainer({ model: plain, ...overrides }))

/** -log p of the softmax, a class. */
function surprises(logits: Float32Array): number[] {
  const largest = Math.max(...logits)
  const sum = logits.reduce((total, z) => total + Math.exp(z - largest), 0)
  return Array.from(logits, (z) => Math.log(sum) + largest - z)
}

const cosine = { ...plain, classifier: { kind: 'cosine', scale: 16 } as const }
const smoothing = { labelSmoothing: 0.1 }
test.each<[string, NativeLoss, typeof plain, number, number]>([
  ['ce', { name: 'cross-entropy', ...smoothing }, plain, 0.1, 0],
  ['ce', { name: 'center', weight: 0.05, centerRate: 0.5 }, plain, 0, 0],
  ['ce', { ...mcLossConfig, ...smoothing }, plain, 0.1, 0],
  ['lmcl', { name: 'lmcl', scale: 16, margin: 0.2 }, cosine, 0, 16 * 0.2],
])('part %s of %o', async (part, loss, of, eps, margin) => {
  const [trainer, other] = [
    await create({ loss, classWeights, model: of }),
    await create({ loss, model: of }),
  ]
  const logits = await trainer.predict(batch)
  let expected = 0
  for (const [n, label] of batch.labels.entries()) {
    const row = logits.slice(n * classes, (n + 1) * classes)
    row[label] = (row[label] as number) - margin
    for (const [k, surprise] of surprises(row).entries()) {
      const target = eps / classes + (k === label ? 1 - eps : 0)
      expected += (classWeights[k] as number) * target * surprise
    }
  }
  for (const each of [trainer, other]) await each.step(batch, step)
  const [{ parts, loss: whole }, without] = [await trainer.stats(), await other.stats()]
  expect(Math.abs((parts[part] as number) / expected - 1)).toBeLessThan(1e-5)
  expect(parts[part]).not.toBeCloseTo(without.parts[part] as number, 2)
  for (const name of Object.keys(parts).filter((each) => each !== part)) {
    expect(parts[name], name).toBe(without.parts[name])
  }
  const difference = (parts[part] as number) - (without.parts[part] as number)
  expect(whole - without.loss).toBeCloseTo(difference, 3)
  expect(await trainer.evaluate(batch)).toEqual(await other.evaluate(batch))
  await Promise.all([trainer.dispose(), other.dispose()])
})

// Of one image without weights a part is that sample's own term.
const norm = { ...plain, classifier: { kind: 'cosine', scale: 'norm' } as const }
const means = { ...plain, classifier: { kind: 'distance' } as const }
test.each<[string, NativeLoss, typeof plain]>([
  ['a-softmax', { name: 'a-softmax', margin: 4 }, norm],
  ['arcface', { name: 'arcface', scale: 16, margin: 0.3 }, cosine],
  ['coco', { name: 'coco', scale: 16 }, cosine],
  ['cosine', { name: 'cosine-loss' }, plain],
  ['focal', { name: 'focal', gamma: 2 }, plain],
  ['cls', { name: 'lgm', lambda: 0.1 }, means],
  ['ce', { name: 'max-entropy', gamma: 0.2 }, plain],
])(
  "part %s of %o is the sum of the samples' terms, each with its weight",
  async (part, loss, of) => {
    const [weighted, alone] = [
      await create({ loss, classWeights, model: of }),
      await create({ loss, model: of }),
    ]
    const options = { ...step, scalar: 0.5 }
    const expected: Record<string, number> = {}
    const size = batch.height * batch.width * 3
    for (const [n, label] of batch.labels.entries()) {
      const one = {
        ...{ ...batch, count: 1, windows: batch.windows.slice(0, 3) },
        pixels: batch.pixels.slice(n * size, (n + 1) * size),
        labels: Int32Array.of(label),
      }
      await alone.step(one, options)
      for (const [name, term] of Object.entries((await alone.stats()).parts)) {
        const weight = name === part ? (classWeights[label] as number) : 1
        expected[name] = (expected[name] ?? 0) + weight * term
      }
    }
    await weighted.step(batch, options)
    const { parts } = await weighted.stats()
    expect(Object.keys(parts)).toEqual(Object.keys(expected))
    for (const [name, sum] of Object.entries(expected)) {
      expect(Math.abs((parts[name] as number) / sum - 1), name).toBeLessThan(1e-4)
    }
    await Promise.all([weighted.dispose(), alone.dispose()])
  },
)

test('micro-batches are the whole batch', async () => {
  const [whole, parts] = [await create({ classWeights }), await create({ classWeights })]
  for (let at = 0; at < 2; at++) {
    const options = { step: at, seed: 1, lr: 0.02 }
    await whole.step(batch, options)
    await parts.step(batch, { ...options, microBatch: 3 })
    const [one, many] = [await whole.stats(), await parts.stats()]
    expect(Math.abs(many.loss / one.loss - 1)).toBeLessThan(1e-5)
    expect(Math.abs(many.gradNorm / one.gradNorm - 1)).toBeLessThan(1e-4)
  }
  await Promise.all([whole.dispose(), parts.dispose()])
})

test.each([
  ['another number of them', [1, 1], 'classWeights to be 5 numbers'],
  ['a negative one', [1, 1, 1, 1, -1], 'classWeights[4]'],
  ['one that is not finite', [Number.NaN, 1, 1, 1, 1], 'classWeights[0]'],
])('%s is refused', async (_, given, words) => {
  await expect(create({ classWeights: given })).rejects.toMatchObject({
    code: 'E_ARGUMENT',
    message: expect.stringContaining(words),
  })
})
