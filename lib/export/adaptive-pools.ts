// LibTorch's adaptive pools, whose windows may overlap and differ in length: the i-th of n over `size`
// positions goes from floor(i size / n) to ceil((i + 1) size / n).

import type { FeatureMap, Network } from './layers.js'

function windowsOf(size: number, count: number): { begin: number; end: number }[] {
  return Array.from({ length: count }, (_, i) => ({
    begin: Math.floor((i * size) / count),
    end: Math.ceil(((i + 1) * size) / count),
  }))
}

/**
 * [N, channels, side, side]: shorter windows see their last position again, which changes no maximum, so
 * that one pool of equal windows does it.
 */
export function adaptiveMaxPool({ graph }: Network, map: FeatureMap, side: number): FeatureMap {
  let { name } = map
  const kernel = [map.height, map.width].map((size, axis) => {
    const windows = windowsOf(size, side)
    const length = Math.max(...windows.map(({ begin, end }) => end - begin))
    const places = windows.flatMap(({ begin, end }) =>
      Array.from({ length }, (_, at) => Math.min(begin + at, end - 1)),
    )
    if (places.some((place, at) => place !== at)) {
      const indices = graph.integers(places)
      name = graph.node('Gather', [name, indices], { axis: axis + 2 })
    }
    return length
  })
  name = graph.node('MaxPool', [name], { kernel_shape: kernel, strides: kernel })
  return { ...map, name, height: side, width: side }
}

/** [N, channels, side, side]: means over rows, then over columns, as products with their weights. */
export function adaptiveAveragePool({ graph }: Network, map: FeatureMap, side: number): FeatureMap {
  let { name } = map
  if (map.height !== side) {
    const rows = graph.floats('pool.rows', [side, map.height], meansOver(map.height, side))
    name = graph.node('MatMul', [rows, name])
  }
  if (map.width !== side) {
    const columns = graph.floats('pool.columns', [side, map.width], meansOver(map.width, side))
    name = graph.node('MatMul', [name, graph.node('Transpose', [columns], { perm: [1, 0] })])
  }
  return { ...map, name, height: side, width: side }
}

/** [count, size] */
function meansOver(size: number, count: number): Float32Array {
  const weights = new Float32Array(count * size)
  for (const [row, { begin, end }] of windowsOf(size, count).entries()) {
    weights.fill(1 / (end - begin), row * size + begin, row * size + end)
  }
  return weights
}
