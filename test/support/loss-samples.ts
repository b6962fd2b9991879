// What the tests of computeLoss give it: the example of three samples whose cosines are exact, and
// samples without a pattern.

import { type ComputeLossOptions, computeLoss } from '../../lib/compute-loss.js'
import type { Options, Sample } from '../reference/losses.js'
import { words } from './formula-weights.js'

/** Two features, three classes; |x| = 5. */
export const example: Sample = {
  x: [
    [3, 4],
    [-4, 3],
    [-4, 3],
  ],
  rows: [
    [2, 0],
    [0, 1],
    [-3, 0],
  ],
  bias: [0, 0, 0],
  target: [0, 0, 2],
}

/** [rows][columns], values in -size .. size. */
function matrix(name: string, rows: number, columns: number, size = 1): number[][] {
  const values = words(name, rows * columns)
  return Array.from({ length: rows }, (_, row) =>
    Array.from(
      values.subarray(row * columns, (row + 1) * columns),
      (word) => size * (word / 2 ** 31 - 1),
    ),
  )
}

/** 9 samples of 5 features in 4 classes, one class without a sample. */
export function sampleOf(name: string): Sample {
  return {
    x: matrix(`${name} x`, 9, 5, 2),
    rows: matrix(`${name} rows`, 4, 5),
    bias: matrix(`${name} bias`, 1, 4)[0] as number[],
    target: [0, 3, 1, 1, 3, 1, 0, 3, 1],
  }
}

/** Every loss but mc, with options that matter and every default given. */
export const everyLoss: Options[] = [
  { name: 'a-softmax', margin: 4, lambdaStart: 2, lambdaDecay: 0.1, lambdaMin: 0.5 },
  { name: 'arcface', scale: 8, margin: 0.4 },
  { name: 'center', weight: 0.3, centerRate: 0.5, labelSmoothing: 0.1 },
  { name: 'coco', scale: 8 },
  { name: 'cosine-loss' },
  { name: 'cross-entropy', labelSmoothing: 0.1 },
  { name: 'focal', gamma: 2 },
  { name: 'lgm', alpha: 0.3, lambda: 0.1 },
  { name: 'lmcl', scale: 8, margin: 0.35 },
  { name: 'max-entropy', gamma: 0.7 },
]

export const isLinear = (name: string) =>
  !['a-softmax', 'arcface', 'coco', 'lgm', 'lmcl'].includes(name)

/** computeLoss of a sample, with gradients, in float64 unless told. */
export function lossOf(
  loss: Options,
  { x, rows, bias, target }: Sample,
  options: Partial<ComputeLossOptions> & {
    floats?: typeof Float32Array | typeof Float64Array
  } = {},
) {
  const { floats = Float64Array, ...rest } = options
  return computeLoss({
    loss: loss as unknown as ComputeLossOptions['loss'],
    embedding: floats.from(x.flat()),
    shape: [x.length, x[0]?.length ?? 0],
    classifier: {
      weight: floats.from(rows.flat()),
      ...(isLinear(loss.name) && { bias: floats.from(bias) }),
    },
    target: Int32Array.from(target),
    numClasses: rows.length,
    grad: true,
    ...rest,
  })
}
