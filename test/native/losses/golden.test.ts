// The shared example of the losses, computed in Python in float64: values and both gradients. Where
// pytorch-metric-learning 2.9.0 has the loss it gave the same.

import { expect, test } from 'vitest'
import type { Options } from '../../reference/losses.js'
import { example, lossOf } from '../../support/loss-samples.js'

interface Golden {
  what: string
  loss: Options
  value: number
  /** Rows 0 and 1; row 2 where it is known. */
  ofX?: number[]
  ofRows?: number[]
  /** Of the linear logits z = x W / divisor. */
  divisor?: number
  step?: number
}

const smoothed = { name: 'cross-entropy', labelSmoothing: 0.1 }
/** lambda, whatever the step. */
const aSoftmax = (margin: number, lambda: number): Options => ({
  ...{ name: 'a-softmax', margin, lambdaStart: lambda, lambdaDecay: 0, lambdaMin: 0 },
})

const goldens: Golden[] = [
  {
    what: 'cross entropy',
    loss: { name: 'cross-entropy' },
    value: 6.709058363,
    ofX: [-0.07946904, 0.0397343, -1.66654327, 0.00004113],
    ofRows: [1.21413017, -1.15893754, 0.11887384, 0.15918398, -1.33300401, 0.99975357],
  },
  {
    what: 'cross entropy of a fifth',
    loss: { name: 'cross-entropy' },
    divisor: 5,
    value: 1.6265107983,
    ofX: [-0.06160761, 0.02597978, -0.30024402, 0.0093104],
    ofRows: [0.17468552, -0.30544783, 0.00345613, 0.15978152, -0.17814165, 0.14566631],
  },
  {
    what: 'label smoothing 0.1',
    loss: smoothed,
    divisor: 5,
    value: 1.6598441317,
    ofX: [-0.04605206, 0.02375756, -0.28468847, 0.00708818],
    ofRows: [0.17912997, -0.28100339, 0.01456724, 0.1375593, -0.19369721, 0.14344409],
  },
  {
    what: 'focal, gamma 2, of a fifth',
    loss: { name: 'focal', gamma: 2 },
    divisor: 5,
    value: 1.3798916375,
    ofX: [-0.02706256, 0.01141222, -0.32915937, 0.01020705],
    ofRows: [0.25076324, -0.26469644, -0.00913342, 0.07817641, -0.24162982, 0.18652003],
  },
  {
    what: 'focal, gamma 2',
    loss: { name: 'focal', gamma: 2 },
    value: 6.6673089652,
    ofX: [-0.00324732, 0.00162365, -1.6665434, 0.00004113],
  },
  {
    what: 'a-softmax, m 4, lambda 0',
    loss: aSoftmax(4, 0),
    value: 15.6999582368,
    ofX: [-0.34236441, 1.07152933, -2.04891286, 0.54756714],
    ofRows: [0, -3.58344393, -0.69069731, 0, 0, -0.94969926],
  },
  {
    what: 'a-softmax, m 4, lambda 5',
    loss: aSoftmax(4, 5),
    value: 5.1285830462,
    ofX: [-0.30883847, 0.4203835, -0.82232974, 0.16596606],
    ofRows: [0, -1.50234894, -0.22575312, 0, 0, -0.03803063],
  },
  {
    what: 'a-softmax by default, step 1',
    loss: { name: 'a-softmax' },
    step: 0,
    value: 3.3249947221,
    ofX: [-0.24461804, 0.24477136, -0.57852774, 0.09013786],
    ofRows: [0, -0.99090148, 0.01307981, 0, 0, 0.15335286],
  },
  { what: 'a-softmax, m 1', loss: aSoftmax(1, 0), value: 3.3136473017 },
  {
    what: 'coco, s 4',
    loss: { name: 'coco', scale: 4 },
    value: 2.7727139103,
    ofX: [-0.20641661, 0.15481246, -0.12241394, -0.16321859],
    ofRows: [0, -0.76749109, -0.11005557, 0, 0, 0.1018032],
  },
  {
    what: 'lmcl, s 4, m 0',
    loss: { name: 'lmcl', scale: 4, margin: 0 },
    value: 2.7727139103,
    ofX: [-0.20641661, 0.15481246, -0.12241394, -0.16321859],
    ofRows: [0, -0.76749109, -0.11005557, 0, 0, 0.1018032],
  },
  {
    what: 'lmcl, s 4, m 0.35',
    loss: { name: 'lmcl', scale: 4, margin: 0.35 },
    value: 3.8398875925,
    ofX: [-0.26911494, 0.2018362, -0.12251965, -0.16335953],
    ofRows: [0, -0.87924379, -0.29985008, 0, 0, 0.01272083],
  },
  {
    what: 'lmcl, s 30, m 0.35',
    loss: { name: 'lmcl', scale: 30, margin: 0.35 },
    value: 26.5045078327,
    ofX: [-2.23999985, 1.67999989, -1.43584599, -1.91446132],
    ofRows: [0, -6.99999973, -1.93188585, 0, 0, 0.01702864],
  },
  {
    what: 'arcface, s 4, m 0.5',
    loss: { name: 'arcface', scale: 4, margin: 0.5 },
    value: 3.7886180529,
    ofX: [-0.31652112, 0.23739084, -0.04940922, -0.06587896],
    ofRows: [0, -0.70981036, -0.30784147, 0, 0, -0.08925216],
  },
  {
    what: 'lgm, alpha 0.3, lambda 0.1',
    loss: { name: 'lgm', alpha: 0.3, lambda: 0.1 },
    step: 99,
    value: 10.019187788,
    ofX: [-0.46870369, 0.78302824, -2.45997382, 0.40223095],
    ofRows: [2.38275581, -3.06897577, 0.83794081, 0.90995097, -0.28506696, 0.85520116],
  },
  {
    what: 'lgm, alpha 0, lambda 0',
    loss: { name: 'lgm', alpha: 0, lambda: 0 },
    value: 5.9958359156,
    ofX: [-0.2516938, 0.12584689, -1.65997377, 0.00223095],
    ofRows: [1.87415301, -1.50338752, 0.35969306, 0.38646446, -0.32887138, 0.98661427],
  },
  {
    what: 'max-entropy, gamma 1, of a fifth',
    loss: { name: 'max-entropy', gamma: 1 },
    divisor: 5,
    value: 1.0435775159,
    ofX: [-0.02683248, 0.02189345, -0.36078647, -0.00453158],
  },
  { what: 'cosine-loss', loss: { name: 'cosine-loss' }, value: 0.7360654417 },
]

/** To what is given: 10 digits of a value, 8 of a gradient; in float32 to its rounding. */
function expectNear(received: ArrayLike<number>, expected: number[], tolerance: number) {
  for (const [at, value] of expected.entries()) {
    const what = `element ${at} is ${received[at]}, expected ${value}`
    expect(Math.abs((received[at] as number) - value), what).toBeLessThan(tolerance)
  }
}

test.each(goldens.map((golden): [string, Golden] => [golden.what, golden]))(
  '%s',
  async (_, { loss, value, ofX = [], ofRows = [], divisor = 1, step = 0 }) => {
    const sample = { ...example, rows: example.rows.map((row) => row.map((w) => w / divisor)) }
    for (const floats of [Float64Array, Float32Array]) {
      const exact = floats === Float64Array
      const result = await lossOf(loss, sample, { floats, step })
      expectNear([result.loss], [value], exact ? 1e-9 : 2e-6 * Math.max(1, value))
      expectNear(result.gradEmbedding ?? [], ofX, exact ? 1e-8 : 4e-6)
      const ofWeight = Array.from(result.gradWeight ?? [], (gradient) => gradient / divisor)
      expectNear(ofWeight, ofRows, exact ? 1e-8 : 4e-6)
    }
  },
)

test('center: the loss with the centres at W, and the centres after a step of 0.5', async () => {
  const loss = { name: 'center', weight: 1, centerRate: 0.5 }
  for (const floats of [Float64Array, Float32Array]) {
    const [ofValue, ofGradient] = floats === Float64Array ? [1e-9, 1e-8] : [4e-6, 4e-6]
    const state = { centres: floats.from(example.rows.flat()) }
    const first = await lossOf(loss, example, { floats, state })
    expectNear([first.parts.ce as number], [6.709058363], ofValue)
    expectNear([first.parts.center as number, first.loss], [12, 18.709058363], 2 * ofValue)
    expectNear(first.state?.centres ?? [], [7 / 6, 7 / 6, 0, 1, -3.25, 0.75], ofValue)
    expect(state.centres).toEqual(floats.from(example.rows.flat())) // what was given stays
    const alone = await lossOf({ name: 'cross-entropy' }, example, { floats })
    const ofCenter = Array.from(
      first.gradEmbedding ?? [],
      (gradient, at) => gradient - (alone.gradEmbedding?.[at] as number),
    )
    expectNear(ofCenter, [1 / 3, 4 / 3, -2, 1, -1 / 3, 1], ofGradient)
    const again = await lossOf(loss, example, {
      floats,
      state: { centres: first.state?.centres as Float64Array },
    })
    expectNear([again.parts.center as number], [7.8449074074], ofValue)
  }
})

test.each([
  [1, [0.6, -0.8, 0.8]],
  [2, [-0.28, -2.28, 0.28]],
  [3, [-0.936, -3.648, -0.352]],
  [4, [-1.1568, -5.1568, -0.8432]],
])('psi of margin %d', async (margin, psi) => {
  const { logits } = await lossOf(aSoftmax(margin, 0), example)
  const ofLabels = example.target.map((label, n) => (logits[n * 3 + label] as number) / 5)
  expectNear(ofLabels, psi, 1e-9)
})

test('arcface past pi', async () => {
  const sample = {
    ...example,
    x: [[Math.cos(2.8), Math.sin(2.8)]],
    rows: [
      [1, 0],
      [0, 1],
    ],
    target: [0],
  }
  const { logits } = await lossOf({ name: 'arcface', scale: 1, margin: 0.5 }, sample)
  expectNear(logits, [-1.18193511], 1e-9)
})
