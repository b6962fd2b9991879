// What every reader of a weight file makes: where in the file the tensors lie. Native reads the bytes.

/** Element types and their sizes in bytes, under the names that safetensors has for them. */
export const dtypeBytes = {
  I64: 8,
  F64: 8,
  F32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const

export type Dtype = keyof typeof dtypeBytes

export type WeightFormat = 'torch-zip' | 'torch-legacy' | 'safetensors'

export interface StoredTensor {
  name: string
  dtype: Dtype
  shape: number[]
  /** From one element to the next along each dimension, elements. */
  strides: number[]
  /** Of the first element in the storage, elements. */
  offset: number
  /** Bytes of the file, end not included. */
  storage: { begin: number; end: number }
}

/** A file as native takes it. */
export interface OpenWeights {
  /** Open to be read; native keeps a descriptor of its own. */
  fd: number
  /** For messages. */
  path: string
  format: string
  tensors: StoredTensor[]
}

/** Without gaps, the last dimension innermost; a dimension of 0 counts as 1, as in LibTorch. */
export function contiguousStrides(shape: number[]): number[] {
  const strides: number[] = []
  let row = 1
  for (const extent of shape.toReversed()) {
    strides.unshift(row)
    row *= Math.max(extent, 1)
  }
  return strides
}
