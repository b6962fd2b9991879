// The bytes of one tensor of an open file, as they are: contiguous, little-endian, in its own dtype.
// Native reads a model's weights itself; this is for a tensor at a time in TypeScript.

import { read } from 'node:fs'
import { promisify } from 'node:util'
import { McLossError } from '../errors.js'
import { contiguousStrides, dtypeBytes, type OpenWeights, type StoredTensor } from './table.js'

const readAt = promisify(read)

export async function tensorBytes(weights: OpenWeights, tensor: StoredTensor): Promise<Buffer> {
  const { shape, strides, offset, storage } = tensor
  const element = dtypeBytes[tensor.dtype]
  const count = shape.reduce((product, extent) => product * extent, 1)
  if (count === 0) return Buffer.alloc(0)
  const last = shape.reduce((sum, extent, i) => sum + (extent - 1) * (strides[i] ?? 0), 0)
  const begin = storage.begin + offset * element
  const span = await readSpan(weights, begin, (last + 1) * element)
  const own = contiguousStrides(shape)
  if (shape.every((extent, i) => extent === 1 || strides[i] === own[i])) return span
  const bytes = Buffer.alloc(count * element)
  const index = shape.map(() => 0)
  for (let to = 0, from = 0; to < bytes.length; to += element) {
    span.copy(bytes, to, from * element, (from + 1) * element)
    for (let i = shape.length - 1; i >= 0; i--) {
      from += strides[i] ?? 0
      index[i] = (index[i] ?? 0) + 1
      if ((index[i] ?? 0) < (shape[i] ?? 0)) break
      from -= (strides[i] ?? 0) * (shape[i] ?? 0)
      index[i] = 0
    }
  }
  return bytes
}

async function readSpan(weights: OpenWeights, begin: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await readAt(
      weights.fd,
      bytes,
      at,
      Math.min(length - at, 2 ** 30),
      begin + at,
    )
    if (bytesRead === 0) throw new McLossError('E_IO', `cannot read ${weights.path}: it ends early`)
    at += bytesRead
  }
  return bytes
}
