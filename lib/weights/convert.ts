// A file of weights as safetensors: floats in float32, everything contiguous, names without wrapper
// and prefix. One tensor at a time is in memory.

import { McLossError } from '../errors.js'
import { isFloat, toFloat32 } from './float32.js'
import { refuseExisting, writeNew } from './new-file.js'
import { type ReadOptions, readWeights } from './read.js'
import { safetensorsHeader } from './safetensors.js'
import { type Dtype, dtypeBytes } from './table.js'
import { tensorBytes } from './tensor-bytes.js'

export interface Converted {
  tensors: number
  bytes: number
  sha256: string
  /** What was done to names, shapes and values: a sentence each. */
  changes: string[]
}

/** Integers, such as num_batches_tracked, stay as they are. */
const dtypeOut = (dtype: Dtype): Dtype => (isFloat(dtype) ? 'F32' : dtype)

/** @throws McLossError E_USAGE for a name that is no .safetensors, E_IO if it is there already */
export async function convertWeights(
  path: string,
  out: string,
  options: ReadOptions & { signal?: AbortSignal } = {},
): Promise<Converted> {
  if (!out.endsWith('.safetensors')) {
    throw new McLossError(
      'E_USAGE',
      `mcloss weights convert: expected a name that ends in .safetensors, received ${out}.`,
    )
  }
  refuseExisting('weights', out)
  return readWeights(path, options, async (weights) => {
    // Wide elements first, as other writers do: then each tensor lies at a multiple of its element.
    const tensors = weights.tensors.toSorted(
      (a, b) => dtypeBytes[dtypeOut(b.dtype)] - dtypeBytes[dtypeOut(a.dtype)],
    )
    if (tensors.some(({ name }) => name === '__metadata__')) {
      throw new McLossError(
        'E_WEIGHTS',
        `weights: ${path} names a tensor __metadata__, which safetensors cannot hold.`,
      )
    }
    const named = tensors.map(({ name, dtype, shape }) => ({ name, dtype: dtypeOut(dtype), shape }))
    const { bytes, sha256 } = await writeNew('weights', out, async (part) => {
      await part.append(safetensorsHeader(named, { format: 'pt' }))
      for (const tensor of tensors) {
        if (options.signal?.aborted) {
          throw new McLossError('E_ABORTED', `mcloss weights: stopped; ${out} is not made.`)
        }
        const bytes = await tensorBytes(weights, tensor)
        const { dtype, name } = tensor
        await part.append(isFloat(dtype) ? toFloat32(bytes, dtype, name) : bytes)
      }
    })
    return { tensors: tensors.length, bytes, sha256, changes: weights.changes }
  })
}
