// MATLAB's MAT files, version 5 (v6, v7: what scipy.io.savemat writes): numbers, logical, char,
// cell and struct, little- or big-endian, compressed or not. A file is not trusted: no element
// reaches beyond the one that holds it, nothing is larger than the bytes there. Data elements are
// decoded in mat5-values.ts.

import { inflateSync } from 'node:zlib'
import { McLossError } from '../../../errors.js'
import {
  CLASSES,
  charRows,
  type Damage,
  type Data,
  isRead,
  type NumberArray,
  type NumberClass,
  numbersOf,
} from './values.js'

/** Bytes of a file, and of what its compressed elements hold together; Cars has 8 MB. */
export const MAX_MAT_BYTES = 16 * 2 ** 20
const MAX_DEPTH = 16
const MAX_DIMENSIONS = 32

/** An array's values lie in column-major order: the first index runs fastest. */
export type MatValue = MatNumbers | MatChars | MatCells | MatStructs
export interface MatNumbers {
  is: NumberClass | 'logical'
  dims: number[]
  data: NumberArray
}
export interface MatChars {
  is: 'char'
  /** [rows, columns] */
  dims: number[]
  rows: string[]
}
export interface MatCells {
  is: 'cell'
  dims: number[]
  values: MatValue[]
}
export interface MatStructs {
  is: 'struct'
  dims: number[]
  /** Of each field, the values of all structs. */
  fields: Map<string, MatValue[]>
}

const INT32 = 5
const UINT32 = 6
const MATRIX = 14
const COMPRESSED = 15
const TEXT_TYPES = [1, 2, 16] // int8, uint8, utf8

const EMPTY: MatValue = Object.freeze({ is: 'double', dims: [0, 0], data: new Float64Array(0) })

/**
 * The variables of a MAT file by name. `file` is for messages.
 *
 * @throws McLossError E_DATA naming the file and what is wrong in it: another version, a class that
 * is not read (sparse, object, function, complex), damage, more than MAX_MAT_BYTES.
 */
export function readMat(bytes: Uint8Array, file: string): Map<string, MatValue> {
  const damage: Damage = (what, next = 'Take the file from its official source again.') => {
    throw new McLossError(
      'E_DATA',
      `mat5: expected ${file} to be a MAT file v5, but ${what}. ${next}`,
    )
  }
  if (bytes.length > MAX_MAT_BYTES) damage(`it has more than ${MAX_MAT_BYTES} bytes`)
  const little = isLittleEndian(bytes, damage)
  const variables = new Map<string, MatValue>()
  let left = MAX_MAT_BYTES
  const reader = new Elements(bytes.subarray(128), little, damage)
  while (reader.left > 0) {
    const element = reader.next()
    let matrix = element
    if (element.type === COMPRESSED) {
      const inner = new Elements(inflate(element.bytes, left, damage), little, damage)
      matrix = inner.next()
      if (inner.left > 0) damage('a compressed element holds more than one variable')
    }
    left -= matrix.bytes.length
    const { name, value } = readMatrix(matrix, little, damage, 0)
    if (name === '') damage('a variable has no name')
    if (variables.has(name)) damage(`the variable '${name}' is there twice`)
    variables.set(name, value)
  }
  return variables
}

function isLittleEndian(bytes: Uint8Array, damage: Damage): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const again = 'Save it again with scipy.io.savemat, or in MATLAB with save -v7.'
  const isHdf5 = [0, 512].some((at) => text.toString('latin1', at, at + 8) === '\x89HDF\r\n\x1a\n')
  if (isHdf5) damage('it is HDF5, as MATLAB -v7.3 writes', again)
  const mark = text.toString('latin1', 126, 128)
  const hasMark = mark === 'IM' || mark === 'MI'
  if (!hasMark && bytes.length >= 20 && bytes.subarray(0, 4).includes(0)) {
    damage('it looks like a MAT file v4', again)
  }
  if (bytes.length < 128) damage(`it has ${bytes.length} bytes, fewer than a header`)
  if (!hasMark) damage('its header has no endian mark')
  const version = mark === 'IM' ? text.readUInt16LE(124) : text.readUInt16BE(124)
  if (version === 0x0200) damage('its header says version 7.3', again)
  if (version !== 0x0100) damage(`its header says version 0x${version.toString(16)}`)
  return mark === 'IM'
}

function inflate(bytes: Uint8Array, most: number, damage: Damage): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: Math.max(1, most) })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_BUFFER_TOO_LARGE') damage(`a compressed element is damaged (${code})`)
    return damage(`its variables have more than ${MAX_MAT_BYTES} bytes`)
  }
}

/** Walks the elements (tag, data, padding to 8 bytes) that some bytes hold. */
class Elements {
  private at = 0
  private readonly view: DataView

  constructor(
    private readonly bytes: Uint8Array,
    private readonly little: boolean,
    private readonly damage: Damage,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  /** The next element, of one of `types` if given; `what` names it in messages. */
  next(types?: readonly number[], what = 'an element'): Data {
    if (this.left < 8) this.damage(`${what} is cut short`)
    const first = this.view.getUint32(this.at, this.little)
    const isSmall = first >>> 16 !== 0 // the size in the upper half, the data in the tag
    const type = isSmall ? first & 0xffff : first
    const length = isSmall ? first >>> 16 : this.view.getUint32(this.at + 4, this.little)
    const start = this.at + (isSmall ? 4 : 8)
    if (length > (isSmall ? 4 : this.left - 8)) {
      this.damage(`${what} of ${length} bytes goes beyond what holds it`)
    }
    if (types && !types.includes(type)) this.damage(`${what} has the data type ${type}`)
    const end = isSmall || type === COMPRESSED ? start + length : start + Math.ceil(length / 8) * 8
    this.at = isSmall ? this.at + 8 : Math.min(end, this.bytes.length)
    return { type, bytes: this.bytes.subarray(start, start + length) }
  }

  /** An element of 32-bit integers. */
  integers(types: readonly number[], what: string): number[] {
    const { bytes } = this.next(types, what)
    if (bytes.length % 4 !== 0) this.damage(`${what} has ${bytes.length} bytes`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const values: number[] = [] // by push: Cars has 10^5 matrices
    for (let at = 0; at < bytes.length; at += 4) values.push(view.getInt32(at, this.little))
    return values
  }

  text(what: string): string {
    const { bytes } = this.next(TEXT_TYPES, what)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  }
}

function readMatrix(
  { type, bytes }: Data,
  little: boolean,
  damage: Damage,
  depth: number,
): { name: string; value: MatValue } {
  if (type !== MATRIX) damage(`it has an element of type ${type} where a matrix belongs`)
  if (bytes.length === 0) return { name: '', value: EMPTY }
  if (depth > MAX_DEPTH) damage(`cells and structs lie ${MAX_DEPTH} deep in each other`)
  const reader = new Elements(bytes, little, damage)
  const { name, named, is, dims, count, isLogical } = readHead(reader, bytes.length, damage)
  const matrices = (many: number) => {
    if (many * 8 > reader.left) damage(`${named} has ${reader.left} bytes for ${many} matrices`)
    const values: MatValue[] = []
    for (let at = 0; at < many; at++) {
      const inner = reader.next([MATRIX], 'a cell or field')
      values.push(readMatrix(inner, little, damage, depth + 1).value)
    }
    return values
  }
  if (is === 'cell') return { name, value: { is, dims, values: matrices(count) } }
  if (is === 'struct') {
    const names = fieldNames(reader, named, damage)
    const all = matrices(count * names.length)
    const valuesOf = (field: number) =>
      Array.from({ length: count }, (_, at) => all[at * names.length + field] as MatValue)
    const fields = new Map(names.map((field, at) => [field, valuesOf(at)]))
    return { name, value: { is, dims, fields } }
  }
  if (is === 'char') {
    return { name, value: { is, dims, rows: charRows(reader.next(), dims, little, damage) } }
  }
  const data = numbersOf(reader.next(), is, little, damage)
  if (data.length !== count) damage(`${named} has ${data.length} values of ${count}`)
  return { name, value: { is: isLogical ? 'logical' : is, dims, data } }
}

/** Flags, dimensions and name of a matrix that has `size` bytes. */
function readHead(reader: Elements, size: number, damage: Damage) {
  const [flags = 0] = reader.integers([UINT32], "a matrix's flags")
  const dims = reader.integers([INT32, UINT32], "a matrix's dimensions")
  const name = reader.text("a matrix's name")
  const named = name === '' ? 'a matrix' : `'${name.slice(0, 63)}'`
  const is = CLASSES[flags & 0xff] ?? damage(`${named} is of class ${flags & 0xff}`)
  const next = 'Save it as numbers, char, cell or struct.'
  if (!isRead(is)) damage(`${named} is of class ${is}, which is not read`, next)
  if (flags & 0x800) damage(`${named} is complex, which is not read`, next)
  if (dims.length < 2 || dims.length > MAX_DIMENSIONS || dims.some((length) => length < 0)) {
    damage(`${named} has the dimensions [${dims.slice(0, 8).join(', ')}]`)
  }
  const count = dims.includes(0) ? 0 : dims.reduce((product, length) => product * length, 1)
  // Values take a byte at least; this bounds structs without fields too.
  if (count > size) damage(`${named} has ${size} bytes for ${count} values`)
  return { name, named, is, dims, count, isLogical: (flags & 0x200) !== 0 }
}

function fieldNames(reader: Elements, named: string, damage: Damage): string[] {
  const [width = 0] = reader.integers([INT32], 'the length of field names')
  const text = reader.text('field names')
  if (text === '') return []
  if (width < 1 || text.length % width !== 0) damage(`${named} has field names of length ${width}`)
  const names = Array.from({ length: text.length / width }, (_, at) =>
    text.slice(at * width, (at + 1) * width).replace(/\0.*$/s, ''),
  )
  if (new Set(names).size < names.length) damage(`${named} has two fields of one name`)
  return names
}
