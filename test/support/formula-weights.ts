// Weights that both sides compute, so that no weight file is stored: the twin of
// test/reference/python/formula.py. Also reads and writes .safetensors files, as plainly as can be.

import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { NativeTrainer } from '../../lib/binding.js'

export interface TensorHeader {
  dtype: 'F32' | 'I64'
  shape: number[]
}
/** Names to dtype and shape, in the file's order. */
export type StateHeader = Map<string, TensorHeader>

const elements = (shape: number[]) => shape.reduce((product, size) => product * size, 1)
const byteSize = ({ dtype, shape }: TensorHeader) => elements(shape) * (dtype === 'F32' ? 4 : 8)

/** FNV-1a of the name: where its words start. */
function hashOf(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}

/** MurmurHash3's finaliser of (hash + index * golden ratio): a uint32. */
function wordAt(hash: number, index: number): number {
  let x = (hash + Math.imul(index, 0x9e3779b9)) | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** `count` words of a name, each 0..2^32-1. */
export function words(name: string, count: number): Uint32Array {
  const hash = hashOf(name)
  return Uint32Array.from({ length: count }, (_, index) => wordAt(hash, index))
}

function valuesOf(name: string, { dtype, shape }: TensorHeader): Float32Array | BigInt64Array {
  if (dtype === 'I64') return new BigInt64Array(elements(shape))
  let [middle, scale] = [0, 0.1] // bias, running_mean
  if (name.endsWith('running_var') || (name.endsWith('weight') && shape.length === 1)) {
    ;[middle, scale] = [1, 0.25]
  } else if (name.endsWith('weight')) {
    scale = Math.sqrt(6 / elements(shape.slice(1)))
  }
  const values = new Float32Array(elements(shape))
  const hash = hashOf(name)
  for (let index = 0; index < values.length; index++) {
    values[index] = middle + (wordAt(hash, index) / 2 ** 31 - 1) * scale
  }
  return values
}

/** Names, dtypes and shapes of a .safetensors file. */
export function readHeader(path: string): StateHeader {
  const file = readFileSync(path)
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<string, TensorHeader>
  return new Map(Object.entries(header).filter(([name]) => name !== '__metadata__'))
}

/** Writes formula weights; `change` may edit a tensor's values before they are written. */
export function writeWeights(
  path: string,
  state: StateHeader,
  change: (name: string, values: Float32Array | BigInt64Array) => void = () => {},
): void {
  let end = 0
  const entries: Record<string, unknown> = {}
  for (const [name, tensor] of state) {
    const begin = end
    end += byteSize(tensor)
    entries[name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }
  }
  const text = JSON.stringify(entries)
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const file = openSync(path, 'w')
  writeSync(file, Buffer.concat([length, header]))
  for (const [name, tensor] of state) {
    const values = valuesOf(name, tensor)
    change(name, values)
    writeSync(file, new Uint8Array(values.buffer))
  }
  closeSync(file)
}

/** Saves the trainer under `folder` and reads which tensors its model has. */
export async function stateOf(trainer: NativeTrainer, folder: string): Promise<StateHeader> {
  const saved = join(folder, 'state')
  mkdirSync(saved, { recursive: true })
  await trainer.save(saved, {})
  return readHeader(join(saved, 'model.safetensors'))
}

/** Gives the trainer the formula's weights, through a file in `folder`. */
export async function loadFormulaWeights(trainer: NativeTrainer, folder: string): Promise<void> {
  const path = join(folder, 'formula.safetensors')
  writeWeights(path, await stateOf(trainer, folder))
  await trainer.loadWeights(path, { backboneOnly: false })
}
