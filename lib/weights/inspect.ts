// What a file of weights holds, without loading it.

import { matchingBackbones } from './backbones.js'
import { type ReadOptions, readWeights, type Weights } from './read.js'
import type { Dtype } from './table.js'

export interface WeightsReport {
  format: Weights['format']
  wrapper: string | null
  prefix: string | null
  /** Names without wrapper and prefix. */
  tensors: { name: string; dtype: Dtype; shape: number[] }[]
  /** The backbones it has every tensor for. */
  matches: string[]
  crc: Weights['crc']
}

export function inspectWeights(path: string, options: ReadOptions = {}): Promise<WeightsReport> {
  return readWeights(path, options, async ({ format, wrapper, prefix, tensors, crc }) => ({
    format,
    wrapper,
    prefix,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    matches: matchingBackbones(tensors),
    crc,
  }))
}
