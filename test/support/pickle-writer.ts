// Writes pickles opcode by opcode, also such as no program would, and the files of torch.save around them.

import { makeZip, type ZipEntry } from './zip-writer.js'

type Piece = Buffer | number | string

/** Numbers are bytes, strings Latin-1. */
export const bytesOf = (...pieces: Piece[]): Buffer =>
  Buffer.concat(
    pieces.map((piece) =>
      typeof piece === 'number'
        ? Buffer.of(piece)
        : typeof piece === 'string'
          ? Buffer.from(piece, 'latin1')
          : piece,
    ),
  )

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export const MARK = bytesOf('(')
export const EMPTY_DICT = bytesOf('}')
export const EMPTY_LIST = bytesOf(']')
export const EMPTY_TUPLE = bytesOf(')')
export const REDUCE = bytesOf('R')
export const NONE = bytesOf('N')

export const pickle = (...body: Piece[]) => bytesOf(0x80, 2, ...body, '.')
export const text = (value: string) =>
  bytesOf('X', u32(Buffer.byteLength(value)), Buffer.from(value))
export const integer = (value: number) => bytesOf('J', u32(value >>> 0))
/** Of any size: LONG1 of the bytes that it takes. */
export const long = (value: bigint, bytes = 9) => {
  const hex = BigInt.asUintN(8 * bytes, value)
    .toString(16)
    .padStart(2 * bytes, '0')
  return bytesOf(0x8a, bytes, Buffer.from(hex, 'hex').reverse())
}
export const global = (module: string, name: string) => bytesOf(`c${module}\n${name}\n`)
export const tuple = (...items: Piece[]) => bytesOf(MARK, ...items, 't')
export const list = (...items: Piece[]) => bytesOf(EMPTY_LIST, MARK, ...items, 'e')
export const dict = (...items: Piece[]) => bytesOf(EMPTY_DICT, MARK, ...items, 'u')
export const call = (module: string, name: string, ...args: Piece[]) =>
  bytesOf(global(module, name), tuple(...args), REDUCE)

export interface TensorText {
  key?: string
  kind?: string
  /** Of the storage. */
  count?: Piece
  offset?: Piece
  shape?: Piece[]
  strides?: Piece[]
  /** After requires_grad and the hooks. */
  more?: Piece[]
  legacy?: boolean
}

/** A float tensor [3] of storage "0", with anything about it changed. */
export function tensor(given: TensorText = {}): Buffer {
  const { key = '0', kind = 'FloatStorage', count = integer(3), offset = integer(0) } = given
  const { shape = [integer(3)], strides = [integer(1)], more = [], legacy = false } = given
  const id = [text('storage'), global('torch', kind), text(key), text('cpu'), count]
  return call(
    'torch._utils',
    '_rebuild_tensor_v2',
    bytesOf(tuple(...id, ...(legacy ? [NONE] : [])), 'Q'),
    offset,
    tuple(...shape),
    tuple(...strides),
    0x89,
    call('collections', 'OrderedDict'),
    ...more,
  )
}

/** The three floats of a storage. */
export const floats = Buffer.from(new Float32Array([1, 2, 3]).buffer)

/** A zip file of torch's around a pickle, with storage "0" of three floats. */
export function torchZip(data: Buffer, more: ZipEntry[] = [], folder = 'x'): Buffer {
  const entries: ZipEntry[] = [
    { name: `${folder}/data.pkl`, content: data },
    { name: `${folder}/byteorder`, content: 'little' },
    { name: `${folder}/data/0`, content: floats },
    ...more,
  ]
  return makeZip(entries.map((entry) => ({ method: 0, ...entry })))
}

const MAGIC = bytesOf(0x8a, 10, Buffer.from('6cfc9c46f9206aa85019', 'hex'))

export interface LegacyText {
  object?: Buffer
  keys?: Buffer
  system?: Buffer
  magic?: Buffer
  /** Of storage "0"; the count before it. */
  count?: number
  /** In place of storage "0": the count and the bytes of each. */
  storages?: Buffer
  tail?: Buffer
}

export function torchLegacy(given: LegacyText = {}): Buffer {
  const { object = dict(text('w'), tensor({ legacy: true })), keys = list(text('0')) } = given
  const { system = dict(text('little_endian'), 0x88), magic = MAGIC, count = 3 } = given
  return bytesOf(
    ...[magic, bytesOf('M', 0xe9, 3), system, object, keys].map((part) => pickle(part)),
    given.storages ?? countedStorage(count, floats),
    given.tail ?? '',
  )
}

export function countedStorage(count: number, bytes: Buffer): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigInt64LE(BigInt(count))
  return bytesOf(length, bytes)
}
