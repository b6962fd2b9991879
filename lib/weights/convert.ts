// A file of weights as safetensors: floats in float32, everything contiguous, names without wrapper
// and prefix. One tensor at a time is in memory.

import { existsSync } from 'node:fs'
import { McLossError, reasonOf } from '../errors.js'
import { isFloat, toFloat32 } from './float32.js'
import { Part } from './part.js'
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
  if (existsSync(out)) {
    throw new McLossError(
      'E_IO',
      `weights: ${out} is there already. It is left as it is: move it away, or give another name.`,
    )
  }
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
    const part = await begin(out)
    try {
      await part.append(safetensorsHeader(named, { format: 'pt' }))
      for (const tensor of tensors) {
        if (options.signal?.aborted) {
          throw new McLossError('E_ABORTED', `mcloss weights: stopped; ${out} is not made.`)
        }
        const bytes = await tensorBytes(weights, tensor)
        const { dtype, name } = tensor
        await part.append(isFloat(dtype) ? toFloat32(bytes, dtype, name) : bytes)
      }
      const { bytes, sha256 } = part.digest()
      await part.finish()
      return { tensors: tensors.length, bytes, sha256, changes: weights.changes }
    } catch (cause) {
      await part.remove()
      throw cause instanceof McLossError ? cause : notMade(out, cause)
    }
  })
}

const begin = (out: string) =>
  Part.begin(out).catch((cause) => {
    throw notMade(out, cause)
  })

const notMade = (out: string, cause: unknown) =>
  new McLossError('E_IO', `weights: ${out} is not made: ${reasonOf(cause)}.`, { cause })
