// A trained model for other programs: ONNX, or safetensors under the names of another library. Reads the
// model file alone and needs no add-on.

import { resolve } from 'node:path'
import { z } from 'zod'
import { checkArgument, text } from '../arguments.js'
import { McLossError } from '../errors.js'
import type { Digest } from '../weights/digest.js'
import { refuseExisting, writeNew } from '../weights/new-file.js'
import { readWeights, type Weights } from '../weights/read.js'
import { type SavedModel, savedModel } from './model.js'
import { type NamesOf, renamed } from './names.js'
import { type OnnxOptions, onnxOf } from './onnx.js'
import { writeModel } from './onnx-schema.js'
import { writeTensors } from './safetensors.js'
import { Tensors } from './tensors.js'

export type ExportOptions = {
  /** A model.safetensors, a checkpoint folder, or a run folder (its best checkpoint). */
  weights: string
  /** The file to write; nothing may be there. */
  out: string
  /** The average of the weights (optim.ema) of that run or checkpoint: its ema.safetensors. Default false. */
  ema?: boolean | undefined
} & (
  | ({ format: 'onnx' } & OnnxOptions)
  | {
      format: 'safetensors'
      /** Whose names the weights get. */
      names: NamesOf
    }
)

export interface ExportedModel {
  /** Absolute. */
  path: string
  bytes: number
  sha256: string
  /** Tensors of a head that the other library does not have; none in ONNX. */
  leftOut: string[]
}

const common = { weights: text, out: text, ema: z.boolean().optional() }
const optionsShape = z.discriminatedUnion(
  'format',
  [
    z.strictObject({
      ...common,
      format: z.literal('onnx'),
      maps: z.boolean().optional(),
      input: z.enum(['u8', 'f32']).optional(),
    }),
    z.strictObject({
      ...common,
      format: z.literal('safetensors'),
      names: z.enum(['torchvision', 'timm']),
    }),
  ],
  { error: "expected 'onnx' or 'safetensors'" },
)

/** Of a protobuf message, and so of an ONNX file. */
const MAX_ONNX_BYTES = 2 ** 31 - 1

/**
 * Writes a trained model for other programs (docs/export.md). ONNX: input `image`, outputs
 * `probabilities` and with `maps` the feature map `maps`; normalisation is inside, and the metadata
 * `classes`, `preprocessing` and `groups` are JSON. safetensors: the weights alone, under the names of
 * torchvision or timm.
 *
 * @throws McLossError E_CHECKPOINT, E_WEIGHTS where there is no model or not all of one; E_NUMERICS for
 * weights that are not finite; E_IO for a file that is there already or cannot be written; E_ARGUMENT for
 * a model that the format or the other library cannot hold.
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  checkArgument('exportModel', 'options', optionsShape, options)
  const out = resolve(options.out)
  refuseExisting('export', out)
  const saved = await savedModel(options.weights, options.ema ?? false)
  return readWeights(saved.file, {}, async (weights) => {
    if (options.format === 'onnx') {
      const { bytes, sha256 } = await writeOnnx(weights, saved, out, options)
      return { path: out, bytes, sha256, leftOut: [] }
    }
    const { kept, leftOut } = renamed(saved, weights.tensors, options.names)
    const { bytes, sha256 } = await writeTensors(weights, kept, out)
    return { path: out, bytes, sha256, leftOut }
  })
}

async function writeOnnx(
  weights: Weights,
  saved: SavedModel,
  out: string,
  options: OnnxOptions,
): Promise<Digest> {
  if (weights.size > MAX_ONNX_BYTES) {
    throw new McLossError(
      'E_ARGUMENT',
      `export: an ONNX file holds at most 2 GiB, and ${saved.file} is ${weights.size} bytes long. Train ` +
        'with a smaller head (model.reduction, head linear), or export it as safetensors.',
    )
  }
  const model = onnxOf(saved, await Tensors.of(weights), options)
  return writeNew('export', out, (part) => writeModel(model, (bytes) => part.append(bytes)))
}
