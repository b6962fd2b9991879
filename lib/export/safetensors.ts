// Tensors of a model file under other names, one at a time in memory.

import type { Digest } from '../weights/digest.js'
import { isFloat } from '../weights/float32.js'
import { writeNew } from '../weights/new-file.js'
import type { Weights } from '../weights/read.js'
import { safetensorsHeader } from '../weights/safetensors.js'
import { dtypeBytes } from '../weights/table.js'
import { tensorBytes } from '../weights/tensor-bytes.js'
import type { Renamed } from './names.js'
import { floatsOf } from './tensors.js'

export function writeTensors(weights: Weights, given: Renamed[], out: string): Promise<Digest> {
  // Wide elements first: then each tensor lies at a multiple of its element.
  const tensors = given.toSorted((a, b) => dtypeBytes[b.from.dtype] - dtypeBytes[a.from.dtype])
  const named = tensors.map(({ from, name, shape }) => ({ name, dtype: from.dtype, shape }))
  return writeNew('export', out, async (part) => {
    await part.append(safetensorsHeader(named, { format: 'pt' }))
    for (const { from } of tensors) {
      if (!isFloat(from.dtype)) await part.append(await tensorBytes(weights, from))
      else {
        const { buffer, byteOffset, byteLength } = await floatsOf(weights, from)
        await part.append(new Uint8Array(buffer, byteOffset, byteLength))
      }
    }
  })
}
