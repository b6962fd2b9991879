// The safetensors format: an 8-byte little-endian header length, a JSON header, the tensors' bytes.
// Read strictly: offsets tile the data exactly, lengths match dtype and shape, names are unique, and
// nothing is believed that the file is too short for. Written: the header's metadata.

import type { FileHandle } from 'node:fs/promises'
import { McLossError } from '../errors.js'
import { JsonReader } from './strict-json.js'
import { contiguousStrides, type Dtype, dtypeBytes, type StoredTensor } from './table.js'

export interface SafetensorsHeader {
  /** In the order of their bytes. */
  tensors: StoredTensor[]
  /** The header's __metadata__. */
  metadata: Record<string, string>
}

/** The official reader's limit. */
const MAX_HEADER_BYTES = 100_000_000
/** LibTorch's own limit in its operators. */
const MAX_RANK = 64

interface Entry {
  name: string
  dtype: string
  shape: number[]
  /** Of its bytes in the data. */
  begin: number
  end: number
}

/**
 * @param size of the file, bytes
 * @throws McLossError E_WEIGHTS naming `path` and what is wrong with it.
 */
export async function readSafetensors(
  file: FileHandle,
  path: string,
  size: number,
): Promise<SafetensorsHeader> {
  try {
    if (size < 8) throw new SyntaxError(`it is ${size} bytes long, shorter than 8`)
    const length = Number((await readBytes(file, 8, 0)).readBigUInt64LE())
    const most = Math.min(MAX_HEADER_BYTES, size - 8)
    if (length > most) {
      throw new SyntaxError(`its header length, ${length}, is more than ${most}`)
    }
    const { entries, metadata } = parseHeader(await readBytes(file, length, 8))
    return { metadata, tensors: tableOf(entries, 8 + length, size - 8 - length) }
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new McLossError(
      'E_WEIGHTS',
      `${path} is not a valid safetensors file: ${cause.message}. It is damaged or cut short: copy, ` +
        'download or save it again.',
      { cause },
    )
  }
}

/**
 * The file up to its first tensor's bytes, which follow in the order given, without gaps. `least`: bytes that
 * it has at least, a multiple of 8.
 */
export function safetensorsHeader(
  tensors: Pick<StoredTensor, 'name' | 'dtype' | 'shape'>[],
  metadata: Record<string, string>,
  least = 0,
): Buffer {
  let at = 0
  const entries = tensors.map(({ name, dtype, shape }): [string, object] => {
    const begin = at
    at += shape.reduce((product, extent) => product * extent, dtypeBytes[dtype])
    return [name, { dtype, shape, data_offsets: [begin, at] }]
  })
  const members = [['__metadata__', metadata] as [string, object], ...entries]
  // Written member by member: an object would put names that are numbers first.
  const text = members.map((member) => member.map((value) => JSON.stringify(value)).join(':'))
  const json = Buffer.from(`{${text.join(',')}}`)
  const header = Buffer.alloc(Math.max(least, 8 + Math.ceil(json.length / 8) * 8), ' ')
  header.writeBigUInt64LE(BigInt(header.length - 8))
  json.copy(header, 8)
  return header
}

/** The text of a header's __metadata__, as writers have it; '' for none. */
export function metadataText(metadata: Record<string, string>): string {
  const entries = Object.entries(metadata)
  return entries.length === 0 ? '' : JSON.stringify(Object.fromEntries(entries.map(wellFormed)))
}

/** Half of a surrogate pair has no UTF-8, and a reader would refuse the file. */
function wellFormed([key, value]: [string, string]): [string, string] {
  const [name = '', text = ''] = [key, value].map((part) => Buffer.from(part).toString())
  return [name, text]
}

async function readBytes(file: FileHandle, count: number, position: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(count), 0, count, position)
  if (bytesRead < count) throw new SyntaxError('it ends early')
  return buffer
}

function parseHeader(bytes: Buffer): { entries: Entry[]; metadata: Record<string, string> } {
  if (bytes[0] !== '{'.charCodeAt(0)) {
    throw new SyntaxError("the header does not begin with '{'")
  }
  const json = new JsonReader(bytes)
  const entries: Entry[] = []
  const metadata = new Map<string, string>()
  json.object((name) => {
    if (name === '__metadata__') json.object((key) => metadata.set(key, json.string()))
    else entries.push(readEntry(json, name))
  })
  json.end()
  return { entries, metadata: Object.fromEntries(metadata) }
}

function readEntry(json: JsonReader, name: string): Entry {
  let dtype = ''
  let shape: number[] | undefined
  const offsets: number[] = []
  json.object((key) => {
    if (key === 'dtype') dtype = json.string()
    else if (key === 'shape') shape = readShape(json)
    else if (key === 'data_offsets') {
      json.array(() => {
        if (offsets.length === 2) json.fail('more than two data_offsets')
        offsets.push(json.integer())
      })
    } else json.fail(`the unknown key ${JSON.stringify(key)}`)
  })
  const [begin, end] = offsets
  if (!dtype || !shape || begin === undefined || end === undefined) {
    json.fail(`tensor ${JSON.stringify(name)} without dtype, shape and two data_offsets, ending`)
  }
  return { name, dtype, shape, begin, end }
}

function readShape(json: JsonReader): number[] {
  const shape: number[] = []
  json.array(() => {
    if (shape.length === MAX_RANK) json.fail('more than 64 dimensions')
    shape.push(json.integer())
  })
  return shape
}

/** Known dtypes; byte counts that fit; offsets that tile [0, dataBytes) without hole or overlap. */
function tableOf(entries: Entry[], dataBegin: number, dataBytes: number): StoredTensor[] {
  let at = 0
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  const tensors = entries.map(({ name, dtype, shape, begin, end }): StoredTensor => {
    const fail = (problem: string): never => {
      throw new SyntaxError(`tensor ${JSON.stringify(name)}: ${problem}`)
    }
    if (!isDtype(dtype)) {
      const known = Object.keys(dtypeBytes).join(' ')
      return fail(`dtype ${JSON.stringify(dtype)} is none of ${known}`)
    }
    if (begin !== at || end < begin) {
      fail(
        `its data_offsets leave a hole or overlap: expected to begin at ${at}, received ` +
          `[${begin}, ${end}]`,
      )
    }
    const strides = contiguousStrides(shape)
    const row = (strides[0] ?? 1) * Math.max(shape[0] ?? 1, 1) * dtypeBytes[dtype]
    if (row > Number.MAX_SAFE_INTEGER) fail('its shape is too large')
    const needed = shape.includes(0) ? 0 : row
    if (end - begin !== needed) {
      fail(`its shape and dtype need ${needed} bytes, its data_offsets span ${end - begin}`)
    }
    at = end
    const storage = { begin: dataBegin + begin, end: dataBegin + end }
    return { name, dtype, shape, strides, offset: 0, storage }
  })
  if (at !== dataBytes) {
    throw new SyntaxError(
      `the tensors take ${at} bytes, the file holds ${dataBytes} after its header`,
    )
  }
  return tensors
}

const isDtype = (name: string): name is Dtype => Object.hasOwn(dtypeBytes, name)
