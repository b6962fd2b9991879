// A model file as an ONNX graph: pixels in, normalised inside, probabilities out, and the feature map if it
// is asked for.

import { packageVersion } from '../machine.js'
import { backbone } from './backbones.js'
import { Graph } from './graph.js'
import { head } from './heads.js'
import type { FeatureMap } from './layers.js'
import { groupsOf, preprocessingOf, type SavedModel } from './model.js'
import { dataTypes, type Model, type ValueInfo } from './onnx-schema.js'
import type { Tensors } from './tensors.js'

export interface OnnxOptions {
  /** The feature map that the MC-Loss sees as a second output. Default false. */
  maps?: boolean | undefined
  /** u8 (default): uint8 [N, H, W, 3]; f32: float32 [N, 3, H, W], 0..1. */
  input?: 'u8' | 'f32' | undefined
}

/** Operator set 17 and the version of the file format that came with it, of 2022. */
const OPSET = 17
const IR_VERSION = 8

/** What the file holds. `tensors` are used up. */
export function onnxOf(
  saved: SavedModel,
  tensors: Tensors,
  { maps = false, input = 'u8' }: OnnxOptions,
): Model {
  const { classes, model } = saved
  const graph = new Graph(saved.file)
  const network = { graph, tensors }
  const map = backbone(network, normalised(graph, saved, input), model)
  const logits = head(network, map, model)
  graph.node('Softmax', [logits], { axis: 1 }, 'probabilities')
  if (maps) graph.node('Identity', [map.name], {}, 'maps')
  const [unused] = tensors.names()
  if (unused !== undefined) throw tensors.misfit(`its tensor ${unused} belongs to no layer`)

  const { float, uint8 } = dataTypes
  const { height, width } = model.input
  const image = input === 'u8' ? [height, width, 3] : [3, height, width]
  const metadata = {
    classes,
    preprocessing: preprocessingOf(saved, input),
    groups: groupsOf(saved, map.channels),
  }
  return {
    ir_version: IR_VERSION,
    producer_name: 'mcloss',
    producer_version: packageVersion(),
    graph: {
      node: graph.nodes,
      name: model.backbone,
      initializer: graph.initializers,
      input: [namedValue('image', input === 'u8' ? uint8 : float, image)],
      output: [
        namedValue('probabilities', float, [classes.length]),
        ...(maps ? [namedValue('maps', float, [map.channels, map.height, map.width])] : []),
      ],
    },
    opset_import: [{ domain: '', version: OPSET }],
    metadata_props: Object.entries(metadata).map(([key, value]) => ({
      key,
      value: JSON.stringify(value),
    })),
  }
}

/** (image - mean) / std, as gather_augment has it: bytes count from 0 to 255. */
function normalised(graph: Graph, saved: SavedModel, input: 'u8' | 'f32'): FeatureMap {
  const { mean, std } = saved
  const { height, width } = saved.model.input
  const white = input === 'u8' ? 255 : 1
  const perChannel = (name: string, values: number[]) =>
    graph.floats(name, [1, 3, 1, 1], Float32Array.from(values))
  const offset = perChannel(
    'mean',
    mean.map((value) => white * value),
  )
  const scale = perChannel(
    'inverse_std',
    std.map((value) => 1 / (white * value)),
  )
  let name = 'image'
  if (input === 'u8') {
    name = graph.node('Transpose', [name], { perm: [0, 3, 1, 2] })
    name = graph.node('Cast', [name], { to: dataTypes.float })
  }
  name = graph.node('Mul', [graph.node('Sub', [name, offset]), scale])
  return { name, channels: 3, height, width }
}

/** [N, ...extents], for every N. */
function namedValue(name: string, type: number, extents: number[]): ValueInfo {
  const dim = [{ dim_param: 'N' }, ...extents.map((extent) => ({ dim_value: extent }))]
  return { name, type: { tensor_type: { elem_type: type, shape: { dim } } } }
}
