// Every loss against its formula as plain loops (test/reference/losses.ts): values, logits, and
// gradients as central differences of the loops; its identities; rows of zeros.

import { describe, expect, test } from 'vitest'
import { type Options, plainCentres, plainLoss, type Sample } from '../../reference/losses.js'
import { everyLoss, isLinear, lossOf, sampleOf } from '../../support/loss-samples.js'

const STEPS = 40
const named: [string, Options][] = everyLoss.map((loss) => [loss.name, loss])

/** What the schedules give, by their own formulas. */
function scalarAt(loss: Options, step: number): number {
  const { lambdaStart, lambdaDecay, lambdaMin, alpha } = loss as Record<string, number>
  if (loss.name === 'a-softmax') {
    return Math.max(Number(lambdaMin), Number(lambdaStart) / (1 + Number(lambdaDecay) * (step + 1)))
  }
  return loss.name === 'lgm' ? Number(alpha) * Math.min(1, step / (0.2 * STEPS)) : 0
}

function expectClose(
  received: ArrayLike<number> | undefined,
  expected: number[],
  tolerance: number,
) {
  expect(received?.length).toBe(expected.length)
  for (const [at, value] of expected.entries()) {
    const what = `element ${at} is ${received?.[at]}, expected ${value}`
    expect(Math.abs((received?.[at] as number) - value), what).toBeLessThan(tolerance)
  }
}

/** The gradient by the values of `matrix`, which `loss` reads. */
function differences(matrix: number[][], loss: () => number): number[] {
  const h = 1e-5
  return matrix.flatMap((row) =>
    row.map((value, d) => {
      row[d] = value + h
      const above = loss()
      row[d] = value - h
      const below = loss()
      row[d] = value
      return (above - below) / (2 * h)
    }),
  )
}

test.each(named)('%s: values, logits, gradients and centres by its formula', async (name, loss) => {
  for (const [run, step] of [0, 5, 39].entries()) {
    const sample: Sample = sampleOf(`${name} ${run}`)
    const { rows: centres } = sampleOf(`${name} ${run} centres`)
    const given = { scalar: scalarAt(loss, step), centres }
    const expected = plainLoss(loss, sample, given)
    const received = await lossOf(loss, sample, {
      ...{ step, totalSteps: STEPS },
      ...(name === 'center' && { state: { centres: Float64Array.from(centres.flat()) } }),
    })
    expectClose([received.loss], [expected.loss], 1e-10)
    expect(Object.keys(received.parts)).toEqual(Object.keys(expected.parts))
    expectClose(Object.values(received.parts), Object.values(expected.parts), 1e-10)
    expectClose(received.logits, expected.logits.flat(), 1e-10)
    expectClose(received.evalLogits, expected.evalLogits.flat(), 1e-10)
    const value = () => plainLoss(loss, sample, given).loss
    expectClose(received.gradEmbedding, differences(sample.x, value), 1e-8)
    expectClose(received.gradWeight, differences(sample.rows, value), 1e-8)
    expect(received.gradBias !== undefined).toBe(isLinear(name))
    if (isLinear(name)) expectClose(received.gradBias, differences([sample.bias], value), 1e-8)
    expect(received.state !== undefined).toBe(name === 'center')
    if (name === 'center') {
      const after = plainCentres(sample, centres, Number(loss.centerRate))
      expectClose(received.state?.centres, after.flat(), 1e-12)
    }
  }
})

test.each(named)('%s: float32 within its rounding', async (_, loss) => {
  const sample = sampleOf('rounded')
  const exact = await lossOf(loss, sample, { step: 20 })
  const rounded = await lossOf(loss, sample, { step: 20, floats: Float32Array })
  expect(rounded.logits).toBeInstanceOf(Float32Array)
  expectClose([rounded.loss], [exact.loss], 1e-5)
  expectClose(rounded.gradEmbedding, Array.from(exact.gradEmbedding ?? []), 1e-5)
  expectClose(rounded.gradWeight, Array.from(exact.gradWeight ?? []), 1e-5)
})

test.each(named)('%s: rows of zeros give a finite loss and finite gradients', async (_, loss) => {
  const sample = { ...sampleOf('zeros'), bias: [0, 0, 0, 0] }
  sample.x[2] = [0, 0, 0, 0, 0]
  sample.rows[1] = [0, 0, 0, 0, 0]
  sample.x[3] = [...(sample.rows[2] as number[])] // on a mean: the distance has no direction
  for (const floats of [Float64Array, Float32Array]) {
    const result = await lossOf(loss, sample, { floats, step: 20 })
    const { gradEmbedding = [], gradWeight = [], gradBias = [] } = result
    const values = [result.loss, ...gradEmbedding, ...gradWeight, ...gradBias]
    expect(values.filter((value) => !Number.isFinite(value))).toEqual([])
  }
})

describe('identities', () => {
  const ce = { name: 'cross-entropy' }
  const coco = { name: 'coco', scale: 8 }
  const sample = sampleOf('identities')
  const lengths = sample.rows.map((row) => Math.hypot(...row))
  const unitRows = sample.rows.map((row, k) => row.map((value) => value / (lengths[k] as number)))
  const ofLengths = { ...sample, rows: unitRows, bias: [0, 0, 0, 0] } // x W / |W| = |x| c
  const ofMeans = { ...sample, bias: lengths.map((length) => -(length ** 2) / 2) }
  const aSoftmax = { name: 'a-softmax', margin: 4, lambdaDecay: 0, lambdaMin: 0 }

  test.each<[string, Options, Options, Sample, number]>([
    ['focal of gamma 0 is cross entropy', { name: 'focal', gamma: 0 }, ce, sample, 1e-12],
    ['label smoothing 0', { ...ce, labelSmoothing: 0 }, ce, sample, 1e-12],
    ['max-entropy of gamma 0', { name: 'max-entropy', gamma: 0 }, ce, sample, 1e-12],
    ['center of weight 0', { name: 'center', weight: 0 }, ce, sample, 1e-12],
    ['lmcl of margin 0 is coco', { name: 'lmcl', scale: 8, margin: 0 }, coco, sample, 1e-12],
    ['arcface of margin 0 is coco', { name: 'arcface', scale: 8, margin: 0 }, coco, sample, 1e-12],
    ['a-softmax of margin 1', { ...aSoftmax, margin: 1, lambdaStart: 3 }, ce, ofLengths, 1e-10],
    ['a-softmax of a large lambda', { ...aSoftmax, lambdaStart: 1e14 }, ce, ofLengths, 1e-10],
    ['lgm of alpha 0 and lambda 0', { name: 'lgm', alpha: 0, lambda: 0 }, ce, ofMeans, 1e-10],
  ])('%s', async (_, loss, same, ofSame, tolerance) => {
    const [one, other] = [await lossOf(loss, sample), await lossOf(same, ofSame)]
    expectClose([one.loss], [other.loss], tolerance)
    expectClose(one.gradEmbedding, Array.from(other.gradEmbedding ?? []), tolerance)
  })

  test('lgm of alpha 0 is cross entropy and lambda times center loss', async () => {
    const state = { centres: Float64Array.from(sample.rows.flat()) }
    const center = { name: 'center', weight: 0.4 }
    const one = await lossOf({ name: 'lgm', alpha: 0, lambda: 0.4 }, sample)
    const other = await lossOf(center, ofMeans, { state })
    expectClose([one.loss], [other.loss], 1e-10)
    expectClose(one.gradEmbedding, Array.from(other.gradEmbedding ?? []), 1e-10)
  })

  test('cosine-loss does not see the length of the logits', async () => {
    const longer = {
      ...sample,
      rows: sample.rows.map((row) => row.map((value) => 3 * value)),
      bias: sample.bias.map((value) => 3 * value),
    }
    const [one, other] = [sample, longer].map((each) => lossOf({ name: 'cosine-loss' }, each))
    expectClose([(await other)?.loss as number], [(await one)?.loss as number], 1e-12)
  })
})
