// Convolutions, linear layers and pools as nodes of a graph. Batch norm at rest is a factor and an offset
// per channel, a x + b, and goes into the layer beside it; the factors are computed in float64.

import type { NativeTrainerConfig } from '../binding.js'
import type { Graph } from './graph.js'
import type { Tensors } from './tensors.js'

export type ModelConfig = NativeTrainerConfig['model']

/** What a layer adds to, and where its weights are. */
export interface Network {
  graph: Graph
  tensors: Tensors
}

/** A value [N, channels, height, width] of the graph. */
export interface FeatureMap {
  name: string
  channels: number
  height: number
  width: number
}

/** Of BatchNorm in native/models/layers.cpp. */
const NORM_EPS = 1e-5

/** Takes a batch norm: y = scale x + offset. */
function takeNorm({ tensors }: Network, name: string, channels: number) {
  const part = (key: string) => tensors.take(`${name}.${key}`, channels).values
  const [gamma, beta, mean, variance] = [
    part('weight'),
    part('bias'),
    part('running_mean'),
    part('running_var'),
  ]
  const scale = Float64Array.from(gamma, (g, k) => g / Math.sqrt((variance[k] ?? 0) + NORM_EPS))
  const offset = Float64Array.from(beta, (b, k) => b - (mean[k] ?? 0) * (scale[k] ?? 0))
  return { scale, offset }
}

/** Rows of `values` times `scale`, in place. */
function scaleRows(values: Float32Array, scale: Float64Array): void {
  const length = values.length / scale.length
  for (const [row, factor] of scale.entries()) {
    for (let at = row * length; at < (row + 1) * length; at++) {
      values[at] = (values[at] as number) * factor
    }
  }
}

/** How a window goes over a map. */
interface Slide {
  kernel: number
  stride: number
  padding: number
}

const attributesOf = ({ kernel, stride, padding }: Slide) => ({
  kernel_shape: [kernel, kernel],
  strides: [stride, stride],
  pads: [padding, padding, padding, padding],
})

function extentOf({ height, width }: FeatureMap, { kernel, stride, padding }: Slide) {
  const extent = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1
  return { height: extent(height), width: extent(width) }
}

interface ConvolutionOptions extends Slide {
  /** The batch norm behind it; left out: none. */
  norm?: string | undefined
}

export function convolution(
  network: Network,
  name: string,
  input: FeatureMap,
  { norm, ...slide }: ConvolutionOptions,
): FeatureMap {
  const { graph, tensors } = network
  const weight = tensors.take(`${name}.weight`, null, input.channels, slide.kernel, slide.kernel)
  const channels = weight.shape[0] as number
  const hasBias = norm === undefined || tensors.has(`${name}.bias`)
  let bias = hasBias ? tensors.take(`${name}.bias`, channels).values : new Float32Array(channels)
  if (norm !== undefined) {
    const { scale, offset } = takeNorm(network, norm, channels)
    scaleRows(weight.values, scale)
    bias = bias.map((value, k) => value * (scale[k] as number) + (offset[k] as number))
  }
  const inputs = [
    input.name,
    graph.floats(`${name}.weight`, weight.shape, weight.values),
    graph.floats(`${name}.bias`, [channels], bias),
  ]
  return {
    name: graph.node('Conv', inputs, attributesOf(slide)),
    channels,
    ...extentOf(input, slide),
  }
}

export function relu({ graph }: Network, input: FeatureMap): FeatureMap {
  return { ...input, name: graph.node('Relu', [input.name]) }
}

export function maxPool({ graph }: Network, input: FeatureMap, slide: Slide): FeatureMap {
  const name = graph.node('MaxPool', [input.name], attributesOf(slide))
  return { ...input, name, ...extentOf(input, slide) }
}

/** A linear layer of [N, width] to [N, rows], with the batch norms before and behind it. */
export function linear(
  network: Network,
  name: string,
  input: string,
  [rows, width]: [rows: number, width: number],
  norms: { before?: string; behind?: string } = {},
): string {
  const { graph, tensors } = network
  const { values } = tensors.take(`${name}.weight`, rows, width)
  const bias = Float64Array.from(tensors.take(`${name}.bias`, rows).values)
  if (norms.before !== undefined) {
    const { scale, offset } = takeNorm(network, norms.before, width)
    for (let row = 0; row < rows; row++) {
      let sum = bias[row] as number
      for (let column = 0, at = row * width; column < width; column++, at++) {
        const value = values[at] as number
        sum += value * (offset[column] as number)
        values[at] = value * (scale[column] as number)
      }
      bias[row] = sum
    }
  }
  if (norms.behind !== undefined) {
    const { scale, offset } = takeNorm(network, norms.behind, rows)
    scaleRows(values, scale)
    for (let row = 0; row < rows; row++) {
      bias[row] = (bias[row] as number) * (scale[row] as number) + (offset[row] as number)
    }
  }
  const weight = graph.floats(`${name}.weight`, [rows, width], values)
  return product(
    graph,
    input,
    weight,
    graph.floats(`${name}.bias`, [rows], Float32Array.from(bias)),
  )
}

/** x W^T, and a bias if there is one. */
export function product(graph: Graph, input: string, weight: string, bias?: string): string {
  return graph.node('Gemm', [input, weight, ...(bias ? [bias] : [])], { transB: 1 })
}

/** Added to the square of a length, as native does. */
export const UNIT_TINY = 1e-12

/** Rows of length 1; rows of zeros stay. */
export function unit(graph: Graph, x: string): string {
  const axes = graph.integers([1])
  const squares = graph.node('ReduceSum', [graph.node('Mul', [x, x]), axes], { keepdims: 1 })
  const length = graph.node('Sqrt', [graph.node('Add', [squares, graph.constant(UNIT_TINY)])])
  return graph.node('Div', [x, length])
}
