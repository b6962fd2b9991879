// The files of test/fixtures/safetensors/ (make_safetensors.py is the twin of what builds them
// here), and what our reader, behind NativeTrainer.loadWeights, says of a file.

import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type NativeTrainer, native } from '../../lib/binding.js'
import { McLossError } from '../../lib/errors.js'
import { fixtureLines } from './fixture-lines.js'
import { toyTrainer } from './formula-batch.js'
import { words } from './formula-weights.js'

/** The fields are those of safetensors_cases.py. */
export interface FileCase {
  name: string
  header?: string
  headerBase64?: string
  repeat?: [text: string, times: number]
  dataBase64?: string
  length?: string
  size?: number
  fileBase64?: string
  /** The official reader's verdict, and what it finds besides the backbone. */
  accepts: boolean
  names?: string[]
}

const lines = fixtureLines<FileCase | { entries: string }>('safetensors/cases.jsonl')
const { entries } = lines[0] as { entries: string }
export const fileCases = lines.slice(1) as FileCase[]

const spans = [...entries.matchAll(/"([^"]+)":\{[^}]*"data_offsets":\[(\d+),(\d+)\]/g)]
const backboneBytes = Number(spans.at(-1)?.[3])
const backbone = Buffer.from(Array.from(words('backbone', backboneBytes), (word) => word >>> 24))

/** The backbone's values in every file of the cases, all integers 0..255. */
export const backboneValues = new Map(
  spans.map(([, name = '', begin, end]) => [
    name,
    [...backbone.subarray(Number(begin), Number(end))],
  ]),
)

/** The format's first 8 bytes and the header. */
export function withLength(header: Buffer, length = BigInt(header.length)): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(length)
  return Buffer.concat([prefix, header])
}

/** The bytes of a case's file, before it is lengthened to `size`. */
export function bytesOf(given: FileCase): Buffer {
  if (given.fileBase64 !== undefined) return Buffer.from(given.fileBase64, 'base64')
  const text = given.header ?? Buffer.from(given.headerBase64 ?? '', 'base64').toString('latin1')
  const [piece, times] = given.repeat ?? ['', 0]
  const header = Buffer.from(
    text.replace('@', entries).replace('#', piece.repeat(times)),
    given.header === undefined ? 'latin1' : 'utf8',
  )
  const length = BigInt(given.length ?? header.length)
  const data = Buffer.from(given.dataBase64 ?? '', 'base64')
  return Buffer.concat([withLength(header, length), backbone, data])
}

export function writeCase(path: string, given: FileCase): void {
  writeFileSync(path, bytesOf(given))
  if (given.size !== undefined) truncateSync(path, given.size)
}

/** The toy model the files are for: one class of one channel, 1615 numbers in the backbone. */
export function smallTrainer(): Promise<NativeTrainer> {
  const model = { ...toyTrainer().model, head: 'linear', numClasses: 1, channelsPerClass: 1 }
  return native().NativeTrainer.create(toyTrainer({ model }))
}

export interface Outcome {
  /** `read`: a valid file of other tensors than the model's; `refused`: not a valid one. */
  is: 'loaded' | 'read' | 'refused'
  message: string
}

/** Loads a file; anything but E_WEIGHTS with the path and a problem fails the test. */
export async function outcome(
  trainer: NativeTrainer,
  path: string,
  backboneOnly: boolean,
): Promise<Outcome> {
  try {
    await trainer.loadWeights(path, { backboneOnly })
    return { is: 'loaded', message: '' }
  } catch (error) {
    if (!(error instanceof McLossError)) throw error
    const { code, message } = error
    expect({ code, message }).toEqual({ code: 'E_WEIGHTS', message: expect.stringContaining(path) })
    if (message.includes(`${path} does not fit the model`)) return { is: 'read', message }
    expect(message).toMatch(/ is not a valid safetensors file: .{10,}/s)
    return { is: 'refused', message }
  }
}

export interface PlainTensor {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
  bytes: Buffer
}
export interface PlainFile {
  metadata: Record<string, string>
  /** By name, in the header's order. */
  tensors: Map<string, PlainTensor>
}

/** A .safetensors file read by JSON.parse. */
export function plainRead(path: string): PlainFile {
  const file = readFileSync(path)
  const begin = 8 + Number(file.readBigUInt64LE(0))
  const { __metadata__: metadata = {}, ...rest } = JSON.parse(file.toString('utf8', 8, begin))
  const tensors = new Map<string, PlainTensor>()
  for (const [name, tensor] of Object.entries(rest as Record<string, PlainTensor>)) {
    const [from, to] = tensor.data_offsets
    tensors.set(name, { ...tensor, bytes: file.subarray(begin + from, begin + to) })
  }
  return { metadata, tensors }
}

/** What the trainer's weights are now, through a save into `folder`/state. */
export async function weightsOf(trainer: NativeTrainer, folder: string): Promise<PlainFile> {
  const saved = join(folder, 'state')
  mkdirSync(saved, { recursive: true })
  await trainer.save(saved, {})
  return plainRead(join(saved, 'model.safetensors'))
}

/** F32 or I64 as numbers. */
export function numbersOf({ dtype, bytes }: PlainTensor): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return dtype === 'F32'
    ? Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
    : Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)))
}
