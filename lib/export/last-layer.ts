// The last layer as a graph: the twin of native/models/last_layer.cpp.

import type { Graph } from './graph.js'
import { linear, type ModelConfig, type Network, product, UNIT_TINY, unit } from './layers.js'

/** [N, width] -> logits [N, numClasses]. */
export function lastLayer(
  network: Network,
  name: string,
  input: { name: string; width: number },
  { classifier = { kind: 'linear' }, numClasses }: ModelConfig,
): string {
  const { graph, tensors } = network
  const { name: x, width } = input
  if (classifier.kind === 'linear') return linear(network, name, x, [numClasses, width])
  if (classifier.kind === 'distance') {
    const { shape, values } = tensors.take(`${name}.means`, numClasses, width)
    return distances(graph, x, graph.floats(`${name}.means`, shape, values))
  }
  const { shape, values } = tensors.take(`${name}.weight`, numClasses, width)
  const scale = classifier.scale === 'norm' ? undefined : classifier.scale
  scaleToUnit(values, width, scale ?? 1)
  const weight = graph.floats(`${name}.weight`, shape, values)
  return product(graph, scale === undefined ? x : unit(graph, x), weight)
}

/** -|x - mu_k|^2 / 2 by differences: the expanded square would lose digits. */
function distances(graph: Graph, x: string, means: string): string {
  const row = graph.node('Unsqueeze', [x, graph.integers([1])])
  const difference = graph.node('Sub', [row, means])
  const squares = graph.node('Mul', [difference, difference])
  const sums = graph.node('ReduceSum', [squares, graph.integers([2])], { keepdims: 0 })
  return graph.node('Mul', [sums, graph.constant(-0.5)])
}

/** Rows of length `scale`, in place. */
function scaleToUnit(values: Float32Array, width: number, scale: number): void {
  for (let begin = 0; begin < values.length; begin += width) {
    const row = values.subarray(begin, begin + width)
    const squares = row.reduce((sum, value) => sum + value * value, 0)
    const factor = scale / Math.sqrt(squares + UNIT_TINY)
    for (const [at, value] of row.entries()) row[at] = value * factor
  }
}
