// The files of test/fixtures/pth/ (make_pth.py) with what torch reads in them, and what our reader does.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readWeights, type Weights } from '../../lib/weights/read.js'
import { tensorBytes } from '../../lib/weights/tensor-bytes.js'
import { fixtureLines } from './fixture-lines.js'

/** Name, our dtype, shape, SHA-256 of the contiguous bytes. */
export type Described = [name: string, dtype: string, shape: number[], sha256: string]
export interface TorchCase {
  file: string
  wrapper: string | null
  /** The dtypes are torch's. */
  tensors: Described[]
}

export const pthFolder = join(import.meta.dirname, '../fixtures/pth')
export const torchCases = fixtureLines<TorchCase>('pth/expected.jsonl')

const OURS: Record<string, string> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
}

/** What torch found, in our words: without the prefix that a reader takes off. */
export const inOurs = (tensors: Described[], prefix: string | null): Described[] =>
  tensors.map(([name, dtype, ...rest]) => [
    name.slice(prefix?.length ?? 0),
    OURS[dtype] ?? dtype,
    ...rest,
  ])

export async function described(weights: Weights): Promise<Described[]> {
  const found: Described[] = []
  for (const tensor of weights.tensors) {
    const bytes = await tensorBytes(weights, tensor)
    const digest = createHash('sha256').update(bytes).digest('hex')
    found.push([tensor.name, tensor.dtype, tensor.shape, digest])
  }
  return found
}

export interface Reading {
  weights: Weights
  tensors: Described[]
}

export const readAll = (path: string, key?: string): Promise<Reading> =>
  readWeights(path, { key }, async (weights) => ({ weights, tensors: await described(weights) }))
