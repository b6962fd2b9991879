// The heads as graphs: the twins of native/models/heads.cpp and bilinear_head.cpp. Dropout is for
// training alone.

import { adaptiveAveragePool, adaptiveMaxPool } from './adaptive-pools.js'
import { bilinearPooling, isqrtPooling } from './bilinear.js'
import { lastLayer } from './last-layer.js'
import {
  convolution,
  type FeatureMap,
  linear,
  type ModelConfig,
  maxPool,
  type Network,
  relu,
} from './layers.js'

/** From the feature map to the logits [N, numClasses]. */
export function head(network: Network, map: FeatureMap, model: ModelConfig): string {
  const make = heads[model.head]
  if (!make) throw network.tensors.misfit(`an unknown head ${model.head}`)
  return make(network, map, model)
}

const heads: Record<string, typeof head> = {
  linear: (network, map, model) => onAverage(network, map, model, 'head.fc'),
  torchvision: (network, map, model) =>
    network.tensors.has('classifier.0.weight')
      ? vggHead(network, map, model)
      : onAverage(network, map, model, 'fc'),
  'two-layer': twoLayerHead,
  bilinear: bilinearHead,
}

function flat({ graph }: Network, { name, channels, height, width }: FeatureMap) {
  return { name: graph.node('Flatten', [name]), width: channels * height * width }
}

function onAverage(network: Network, map: FeatureMap, model: ModelConfig, layer: string): string {
  const name = network.graph.node('GlobalAveragePool', [map.name])
  return lastLayer(network, layer, flat(network, { ...map, name, height: 1, width: 1 }), model)
}

const VGG_SIDE = 7

function vggHead(network: Network, map: FeatureMap, model: ModelConfig): string {
  const { graph, tensors } = network
  const [hidden = 0] = tensors.shapeOf('classifier.0.weight')
  const halved = maxPool(network, map, { kernel: 2, stride: 2, padding: 0 })
  const pooled = flat(network, adaptiveAveragePool(network, halved, VGG_SIDE))
  let name = linear(network, 'classifier.0', pooled.name, [hidden, pooled.width])
  name = linear(network, 'classifier.3', graph.node('Relu', [name]), [hidden, hidden])
  const embedding = { name: graph.node('Relu', [name]), width: hidden }
  return lastLayer(network, 'classifier.6', embedding, model)
}

function twoLayerHead(network: Network, map: FeatureMap, model: ModelConfig): string {
  const { graph, tensors } = network
  const [hidden = 0] = tensors.shapeOf('head.fc1.weight')
  const side = model.backbone.startsWith('vgg16') ? 7 : 1 // native/models/registry.cpp
  const pooled = flat(network, adaptiveMaxPool(network, map, side))
  const norms = { before: 'head.norm1', behind: 'head.norm2' }
  const name = linear(network, 'head.fc1', pooled.name, [hidden, pooled.width], norms)
  const embedding = { name: graph.node('Elu', [name]), width: hidden }
  return lastLayer(network, 'head.fc2', embedding, model)
}

function bilinearHead(network: Network, map: FeatureMap, model: ModelConfig): string {
  const options = { kernel: 1, stride: 1, padding: 0, norm: 'head.norm' }
  const reduced = model.reduction
    ? relu(network, convolution(network, 'head.reduction', map, options))
    : map
  const pooling = model.pooling === 'isqrt' ? isqrtPooling : bilinearPooling
  return lastLayer(network, 'head.fc', pooling(network, reduced), model)
}
