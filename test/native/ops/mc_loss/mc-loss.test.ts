// The public mcLoss against a plain-loop twin, central differences and the published golden values.
// Layouts, bf16, more shapes and Python's fixtures: test/native. Torch: python-parity.test.ts.

import { describe, expect, test } from 'vitest'
import type { McLossResult } from '../../../../lib/binding.js'
import { type McLossOptions, mcLoss } from '../../../../lib/mc-loss.js'
import { below, draws, Purpose, uniform } from '../../../../lib/random.js'
import { mcLossTwin, type TwinResult } from '../../../reference/mc-loss.js'

type Shape = readonly [number, number, number, number]

const forms = [
  { form: 'paper', mu: 0.7, lambda: 3 },
  { form: 'official', alpha: 1.5, beta: 20 },
] as const

const shapes: [string, Shape, number][] = [
  ['equal groups, square map', [3, 9, 4, 4], 3],
  ['unequal groups, wide map', [2, 14, 3, 5], 4],
  ['unequal groups, tall map', [3, 13, 7, 2], 5],
  ['one class', [2, 5, 3, 3], 1],
  ['a channel a class', [4, 4, 3, 4], 4],
  ['one position', [3, 7, 1, 1], 3],
  ['many classes', [3, 47, 6, 7], 20],
]
const masks = ['no mask', 'a mask of C', 'a mask of N * C'] as const
const kinds = shapes.flatMap(([about, shape, classes]) =>
  masks.map((mask) => [about, mask, shape, classes] as const),
)

/** Seeded features (-1..2, or after a ReLU, which makes a third of them tie at 0), labels, mask. */
function drawn(seed: number, shape: Shape, numClasses: number, mask: string, relu: boolean) {
  const [n, c, height, width] = shape
  const next = draws(seed, 0, 0, Purpose.order)
  const features = Float64Array.from({ length: n * c * height * width }, () =>
    Math.max(3 * uniform(next()) - 1, relu ? 0 : -1),
  )
  const target = Int32Array.from({ length: n }, () => below(next(), numClasses))
  const rows = masks.indexOf(mask as (typeof masks)[number])
  const bits = Uint8Array.from({ length: rows === 2 ? n * c : c }, () => next() & 1)
  return { features, shape, target, numClasses, ...(rows > 0 && { mask: bits }) }
}

/** Max abs difference <= tolerance * max abs expected; nothing may be NaN. */
function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(actual.length).toBe(expected.length)
  let scale = 0
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i] as number))
    worst = Math.max(worst, Math.abs((actual[i] as number) - (expected[i] as number)))
  }
  expect(worst).toBeLessThanOrEqual(tolerance * scale)
}

function equalsTwin(result: McLossResult, twin: TwinResult, tolerance: number) {
  close([result.dis], [twin.dis], tolerance)
  close([result.div], [twin.div], tolerance)
  expect(Math.abs(result.loss - twin.loss)).toBeLessThanOrEqual(tolerance * twin.lossScale)
  close(result.classScores, twin.classScores, tolerance)
  const clear = (values: ArrayLike<number>) =>
    Array.from(values).filter((_, i) => twin.nearTie[i] === 0)
  close(clear(result.grad ?? []), clear(twin.grad), tolerance)
}

describe.each(kinds)('%s, %s', (_, mask, shape, numClasses) => {
  test.each([['float64'], ['float32']])('%s equals the twin in both forms', async (dtype) => {
    const elements = { all: 0, left: 0 }
    for (const seed of [1, 2]) {
      const made = drawn(seed, shape, numClasses, mask, seed === 2)
      const given = dtype === 'float32' ? Float32Array.from(made.features) : made.features
      for (const form of forms) {
        const options = { ...made, features: given, ...form }
        const twin = mcLossTwin(options)
        const result = await mcLoss({ ...options, grad: true })
        equalsTwin(result, twin, dtype === 'float32' ? 2e-6 : 1e-12)
        expect(result.grad).toBeInstanceOf(given.constructor)
        expect(result.classScores).toBeInstanceOf(given.constructor)
        elements.all += twin.grad.length
        elements.left += twin.nearTie.reduce((sum, near) => sum + near, 0)
      }
    }
    expect(elements.left).toBeLessThanOrEqual(0.01 * elements.all)
  })

  test('the gradient equals central differences', async () => {
    const step = 1e-6
    let seed = 10
    let made = drawn(seed, shape, numClasses, mask, false)
    const gap = () => mcLossTwin({ ...made, ...forms[0] }).gap
    while (gap() < 10 * step) made = drawn(++seed, shape, numClasses, mask, false)
    for (const form of forms) {
      const { grad } = await mcLoss({ ...made, ...form, grad: true })
      const at = Array.from({ length: 40 }, (_, i) => (i * 37) % made.features.length)
      const quotients = at.map(async (i) => {
        const lossAt = async (change: number) => {
          const features = made.features.slice()
          features[i] = (features[i] as number) + change
          return (await mcLoss({ ...made, features, ...form })).loss
        }
        return ((await lossAt(step)) - (await lossAt(-step))) / (2 * step)
      })
      const scale = 1 + Math.max(...Array.from(grad ?? [], Math.abs))
      for (const [i, quotient] of (await Promise.all(quotients)).entries()) {
        const error = Math.abs(quotient - (grad?.[at[i] as number] ?? Number.NaN))
        expect(error, `feature ${at[i]}, ${form.form}`).toBeLessThan(2e-8 * scale)
      }
    }
  })
})

describe('golden values', () => {
  const filled = (value: number, shape: Shape, numClasses: number) => ({
    features: new Float64Array(shape.reduce((a, b) => a * b)).fill(value),
    shape,
    target: new Int32Array(shape[0]),
    numClasses,
  })

  test('constant maps: h = 1; CUB at 2048 channels: the mean of h / xi is 0.0978182', async () => {
    const made = filled(0.3, [1, 2048, 3, 5], 200)
    const { div, loss } = await mcLoss({ ...made, form: 'official', alpha: 0, beta: 1 })
    expect(div).toBeCloseTo(1, 12)
    expect(1 - loss).toBeCloseTo(0.0978182, 7)
  })

  test('values all alike: the first channel takes the whole gradient', async () => {
    const options = { ...filled(0.5, [2, 5, 2, 3], 2), ...forms[1] }
    equalsTwin(await mcLoss({ ...options, grad: true }), mcLossTwin(options), 1e-12)
  })

  test('disjoint peaks score higher than identical ones, at most xi', async () => {
    const divOf = async (peaks: number[]) => {
      const made = filled(0, [1, 3, 2, 2], 1)
      for (const [channel, position] of peaks.entries()) made.features[channel * 4 + position] = 60
      return (await mcLoss({ ...made, ...forms[0] })).div
    }
    expect(await divOf([2, 2, 2])).toBeCloseTo(1, 12)
    expect(await divOf([0, 1, 0])).toBeCloseTo(2, 12)
    expect(await divOf([0, 1, 3])).toBeCloseTo(3, 12)
  })

  test('one position: h = 1 and no gradient of it', async () => {
    const made = drawn(1, [2, 6, 1, 1], 2, 'no mask', false)
    const weights = { form: 'official', alpha: 0, beta: 5 } as const
    const { div, grad } = await mcLoss({ ...made, ...weights, grad: true })
    expect(div).toBe(1)
    expect(Array.from(grad ?? [], Math.abs)).toEqual(Array(12).fill(0))
  })
})

test("impl 'fused' and 'reference' agree up to rounding, and are two programs", async () => {
  const made = drawn(5, [3, 47, 6, 7], 20, 'a mask of N * C', true)
  const options = { ...made, features: Float32Array.from(made.features), ...forms[1], grad: true }
  const fused = await mcLoss(options)
  const reference = await mcLoss({ ...options, impl: 'reference' })
  expect(await mcLoss({ ...options, impl: 'fused' })).toEqual(fused)
  equalsTwin(reference, mcLossTwin(options), 2e-6)
  equalsTwin(fused, mcLossTwin(options), 2e-6)
  expect(reference.grad).not.toEqual(fused.grad)
})

test('the gradient is null unless asked for, and the inputs stay as they are', async () => {
  const made = drawn(4, [2, 6, 3, 3], 2, 'a mask of C', false)
  const copy = structuredClone(made)
  const plain = await mcLoss({ ...made, ...forms[1] })
  const { grad, ...rest } = await mcLoss({ ...made, ...forms[1], grad: true })
  expect(plain).toEqual({ ...rest, grad: null })
  expect(grad).toHaveLength(108)
  expect(made).toEqual(copy)
})

describe('refused', () => {
  const right = { ...drawn(3, [2, 6, 3, 3], 2, 'a mask of C', false), ...forms[0] }
  test.each<[string, object, RegExp]>([
    ['weights of both forms', { beta: 1 }, /beta belong to the other form/],
    ['a form of another name', { form: 'mutual' }, /'paper' or 'official'.*"mutual"/],
    ['no form', { form: undefined }, /'paper' or 'official'/],
    ['no weights', { mu: undefined, lambda: undefined }, /missing: mu, lambda/],
    ['NaN for a weight', { mu: Number.NaN }, /mu.*finite.*NaN/],
    ['an infinite weight', { lambda: Number.POSITIVE_INFINITY }, /lambda.*finite.*Infinity/],
    ['features of another length', { features: new Float64Array(107) }, /features.*108.*107/],
    ['features that are no floats', { features: new Int32Array(108) }, /features.*Float32Array/],
    ['a shape of three', { shape: [2, 6, 9] }, /shape.*\[N, C, H, W\]/],
    ['a map without rows', { shape: [2, 6, 0, 9], features: new Float64Array(0) }, /shape.*2,6,0/],
    ['a label K', { target: Int32Array.of(0, 2) }, /labels 0\.\.1.*a label 2/],
    ['a label below 0', { target: Int32Array.of(-1, 0) }, /labels 0\.\.1.*a label -1/],
    ['labels of another length', { target: Int32Array.of(0) }, /target.*of 2.*Int32Array of 1/],
    ['labels that are no Int32Array', { target: [0, 1] }, /target.*Int32Array/],
    ['more classes than channels', { numClasses: 7 }, /6 channels for 7 classes/],
    ['no classes', { numClasses: 0 }, /6 channels for 0 classes/],
    ['half a class', { numClasses: 1.5 }, /numClasses.*integer.*1\.5/],
    ['a mask of another length', { mask: new Uint8Array(5) }, /mask.*of 6.*Uint8Array of 5/],
    ['a mask of other values than 0 and 1', { mask: Uint8Array.of(0, 1, 2, 1, 1, 0) }, /mask.*2/],
    ['a mask that is no Uint8Array', { mask: [1, 1, 1, 0, 0, 0] }, /mask.*Uint8Array/],
    ['a grad that is no boolean', { grad: 1 }, /grad.*true or false/],
    ['an impl of another name', { impl: 'slow' }, /impl.*fused or reference.*slow/],
  ])('%s', async (_, change, words) => {
    await expect(mcLoss({ ...right, ...change } as McLossOptions)).rejects.toMatchObject({
      code: 'E_ARGUMENT',
      message: expect.stringMatching(words),
    })
  })
})
