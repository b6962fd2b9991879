// What the bilinear head makes of a feature map: the twin of native/models/bilinear_pooling.cpp, step by
// step.

import type { Graph } from './graph.js'
import { type FeatureMap, type Network, unit } from './layers.js'

const EPS = 1e-5
const TRACE_TINY = 1e-12
const NEWTON_SCHULZ_STEPS = 5

interface Vector {
  /** [N, width] */
  name: string
  width: number
}

/** B-CNN: F F^T / L, signed root, length 1; off the diagonal times sqrt(2). */
export function bilinearPooling({ graph }: Network, map: FeatureMap): Vector {
  const positions = positionsOf(graph, map)
  const products = productOfPairs(graph, positions, map)
  const { name: v, width } = triangleOf(graph, products, map.channels)
  const size = graph.node('Abs', [v])
  const root = graph.node('Sqrt', [graph.node('Add', [size, graph.constant(EPS)])])
  const from0 = graph.node('Sub', [root, graph.constant(Math.sqrt(EPS))])
  const signed = graph.node('Mul', [from0, graph.node('Sign', [v])])
  const factors = pairsOf(map.channels).map(([a, b]) => (a === b ? 1 : Math.SQRT2))
  const byPair = graph.floats('pairs.factors', [width], Float32Array.from(factors))
  const s = graph.node('Mul', [signed, byPair])
  return { name: unit(graph, s), width }
}

/** iSQRT-COV: the square root of the covariance over positions, by steps of Newton and Schulz. */
export function isqrtPooling({ graph }: Network, map: FeatureMap): Vector {
  const { channels } = map
  const positions = positionsOf(graph, map)
  const mean = graph.node('ReduceMean', [positions], { axes: [2], keepdims: 1 })
  const centred = graph.node('Sub', [positions, mean])
  const covariance = productOfPairs(graph, centred, map)
  const eye = new Float32Array(channels * channels)
  for (let k = 0; k < channels; k++) eye[k * channels + k] = 1
  const one = graph.floats('pairs.eye', [channels, channels], eye)
  const axes = graph.integers([1, 2])
  const diagonal = graph.node('Mul', [covariance, one])
  const sum = graph.node('ReduceSum', [diagonal, axes], { keepdims: 1 })
  const trace = graph.node('Add', [sum, graph.constant(TRACE_TINY)])
  const three = graph.node('Mul', [one, graph.constant(3)])
  let y = graph.node('Div', [covariance, trace])
  let z: string | undefined // undefined: the unit matrix
  for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
    const zy = z === undefined ? y : graph.node('MatMul', [z, y])
    const t = graph.node('Mul', [graph.node('Sub', [three, zy]), graph.constant(0.5)])
    y = graph.node('MatMul', [y, t])
    if (step + 1 < NEWTON_SCHULZ_STEPS) z = z === undefined ? t : graph.node('MatMul', [t, z])
  }
  const root = graph.node('Mul', [y, graph.node('Sqrt', [trace])])
  return triangleOf(graph, root, channels)
}

/** [N, C, H, W] -> [N, C, L] */
function positionsOf(graph: Graph, { name, channels, height, width }: FeatureMap): string {
  const shape = graph.integers([0, channels, height * width])
  return graph.node('Reshape', [name, shape])
}

/** X X^T / L: [N, C, C] */
function productOfPairs(graph: Graph, x: string, { height, width }: FeatureMap): string {
  const products = graph.node('MatMul', [x, graph.node('Transpose', [x], { perm: [0, 2, 1] })])
  return graph.node('Div', [products, graph.constant(height * width)])
}

/** [N, C, C] -> [N, C (C + 1) / 2], row by row. */
function triangleOf(graph: Graph, matrices: string, side: number): Vector {
  const places = pairsOf(side).map(([a, b]) => a * side + b)
  const flat = graph.node('Reshape', [matrices, graph.integers([0, side * side])])
  const indices = graph.integers(places)
  return { name: graph.node('Gather', [flat, indices], { axis: 1 }), width: places.length }
}

function pairsOf(side: number): [number, number][] {
  const pairs: [number, number][] = []
  for (let a = 0; a < side; a++) for (let b = a; b < side; b++) pairs.push([a, b])
  return pairs
}
