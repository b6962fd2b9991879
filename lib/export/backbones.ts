// The backbones as graphs. Their layers are read off the names and shapes of the weights (native/models/
// vgg.cpp, resnet.cpp); a name that is not there or left over is an error.

import {
  convolution,
  type FeatureMap,
  type ModelConfig,
  maxPool,
  type Network,
  relu,
} from './layers.js'

/** From the normalised image to the feature map of the MC-Loss. */
export function backbone(network: Network, image: FeatureMap, model: ModelConfig): FeatureMap {
  return model.backbone.startsWith('resnet') ? resnet(network, image, model) : vgg(network, image)
}

/** A convolution, its norm, its ReLU and a pool take a number each, so that a gap tells of a pool. */
function vgg(network: Network, image: FeatureMap): FeatureMap {
  const { tensors } = network
  const numbers = tensors
    .names()
    .flatMap((name) => /^features\.(\d+)\.weight$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
  const hasNorm = tensors.has('features.1.running_mean')
  const convolutions = numbers.filter((_, at) => !hasNorm || at % 2 === 0)
  const layers = hasNorm ? 3 : 2
  let map = image
  for (const [at, number] of convolutions.entries()) {
    const norm = hasNorm ? `features.${number + 1}` : undefined
    const options = { kernel: 3, stride: 1, padding: 1, norm }
    map = relu(network, convolution(network, `features.${number}`, map, options))
    const next = convolutions[at + 1] ?? number + layers
    const gap = next - number - layers
    if (gap > 1) throw tensors.misfit(`no layer features.${number + layers + 1}`)
    if (gap === 1) map = maxPool(network, map, { kernel: 2, stride: 2, padding: 0 })
  }
  return map
}

function resnet(network: Network, image: FeatureMap, model: ModelConfig): FeatureMap {
  const options = { kernel: 7, stride: 2, padding: 3, norm: 'bn1' }
  let map = relu(network, convolution(network, 'conv1', image, options))
  map = maxPool(network, map, { kernel: 3, stride: 2, padding: 1 })
  for (const stage of [1, 2, 3, 4]) {
    // Widened, the last stage keeps the map's size.
    const isWhole = stage === 1 || (stage === 4 && model.channelsPerClass > 0)
    for (let index = 0; network.tensors.has(`layer${stage}.${index}.conv1.weight`); index++) {
      const stride = index === 0 && !isWhole ? 2 : 1
      map = block(network, `layer${stage}.${index}`, map, stride)
    }
  }
  return map
}

/** relu(f(x) + shortcut(x)); f of two 3x3 convolutions, or of 1x1, 3x3, 1x1. */
function block(network: Network, name: string, input: FeatureMap, stride: number): FeatureMap {
  const { graph, tensors } = network
  const kernels = tensors.has(`${name}.conv3.weight`) ? [1, 3, 1] : [3, 3]
  const strided = kernels.indexOf(3)
  let map = input
  for (const [at, kernel] of kernels.entries()) {
    map = convolution(network, `${name}.conv${at + 1}`, map, {
      kernel,
      stride: at === strided ? stride : 1,
      padding: kernel === 3 ? 1 : 0,
      norm: `${name}.bn${at + 1}`,
    })
    if (at < kernels.length - 1) map = relu(network, map)
  }
  const downsample = `${name}.downsample`
  const shortcut = tensors.has(`${downsample}.0.weight`)
    ? convolution(network, `${downsample}.0`, input, {
        kernel: 1,
        stride,
        padding: 0,
        norm: `${downsample}.1`,
      })
    : input
  return relu(network, { ...map, name: graph.node('Add', [map.name, shortcut.name]) })
}
