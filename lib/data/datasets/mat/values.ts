// The data elements of MAT files (mat5.ts): stored numbers and characters to values.

const MAX_TEXT_BYTES = 2 ** 20

/** Throws E_DATA: what is wrong, and what to do next. */
export type Damage = (what: string, next?: string) => never

/** A data element: its type (miINT8 = 1, ...) and its bytes. */
export interface Data {
  type: number
  bytes: Uint8Array
}

const arrays = {
  double: Float64Array,
  single: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const

export type NumberClass = keyof typeof arrays
export type NumberArray = InstanceType<(typeof arrays)[NumberClass]>

type MatClass = NumberClass | 'cell' | 'struct' | 'char' | UnreadClass
type UnreadClass = (typeof unread)[number]
const unread = ['object', 'sparse', 'function', 'opaque'] as const

export function isRead(name: MatClass): name is Exclude<MatClass, UnreadClass> {
  return !(unread as readonly string[]).includes(name)
}

/** By the number in a matrix's flags. */
export const CLASSES: readonly (MatClass | undefined)[] = [
  ...([undefined, 'cell', 'struct', 'object', 'char', 'sparse'] as const),
  ...(['double', 'single', 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32'] as const),
  ...(['int64', 'uint64', 'function', 'opaque'] as const),
]

/** By the number in an element's tag: what MATLAB stores a matrix's numbers as, whatever its class. */
const STORED: readonly (NumberClass | undefined)[] = [
  ...([undefined, 'int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'single'] as const),
  ...([undefined, 'double', undefined, undefined, 'int64', 'uint64'] as const),
]

/** Stored numbers as an array of `wanted`; integers must fit it, floats are rounded to it. */
export function numbersOf(
  { type, bytes }: Data,
  wanted: NumberClass,
  little: boolean,
  damage: Damage,
): NumberArray {
  const name = STORED[type] ?? damage(`numbers have the data type ${type}`)
  const size = arrays[name].BYTES_PER_ELEMENT
  if (bytes.length % size !== 0) damage(`${name} numbers have ${bytes.length} bytes`)
  const copy = swapped(bytes, little ? 1 : size)
  const stored: NumberArray = new arrays[name](copy.buffer)
  if (name === wanted) return stored
  const out: NumberArray = new arrays[wanted](stored.length)
  const isFloat = wanted === 'double' || wanted === 'single'
  for (let at = 0; at < stored.length; at++) {
    const value = stored[at] as number | bigint
    const isWhole = typeof value === 'bigint' || Number.isInteger(value)
    if (isFloat || isWhole) out[at] = typeof out[0] === 'bigint' ? BigInt(value) : Number(value)
    const kept = out[at] as number | bigint
    const isSame = isWhole && kept >= value && kept <= value // exact between number and bigint too
    if (!isFloat && !isSame) damage(`${value} is stored as ${wanted}`)
  }
  return out
}

/** A copy of the bytes, in a buffer of their own, each group of `size` reversed. */
function swapped(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes)
  if (size === 1) return copy
  const view = Buffer.from(copy.buffer)
  if (size === 2) view.swap16()
  if (size === 4) view.swap32()
  if (size === 8) view.swap64()
  return copy
}

/** The rows of a char matrix. Its dims count UTF-16 units (MATLAB) or characters (SciPy). */
export function charRows(data: Data, dims: number[], little: boolean, damage: Damage): string[] {
  const [rows = 0, columns = 0, ...more] = dims
  if (more.length > 0) damage('it has text of more than two dimensions')
  if (data.bytes.length > MAX_TEXT_BYTES) damage(`text has more than ${MAX_TEXT_BYTES} bytes`)
  const text = textOf(data, little, damage)
  const characters = [...text]
  const units = characters.length === rows * columns ? characters : text.split('')
  if (units.length !== rows * columns) {
    damage(`text of ${units.length} characters is said to have ${rows} x ${columns}`)
  }
  return Array.from({ length: columns > 0 ? rows : 0 }, (_, row) =>
    Array.from({ length: columns }, (_, column) => units[row + column * rows]).join(''),
  )
}

function textOf({ type, bytes }: Data, little: boolean, damage: Damage): string {
  const decoded = (encoding: string, size: number) => {
    try {
      // A mark at the start is a character like others.
      const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true })
      return decoder.decode(swapped(bytes, little ? 1 : size))
    } catch {
      return damage(`text is no ${encoding}`)
    }
  }
  switch (type) {
    case 1: // int8
    case 2: // uint8
      return Buffer.from(bytes).toString('latin1')
    case 16:
      return decoded('utf-8', 1)
    case 4: // uint16
    case 17:
      if (bytes.length % 2 !== 0) damage(`UTF-16 text has ${bytes.length} bytes`)
      return decoded('utf-16le', 2)
    case 18: {
      if (bytes.length % 4 !== 0) damage(`UTF-32 text has ${bytes.length} bytes`)
      const points = new Uint32Array(swapped(bytes, little ? 1 : 4).buffer)
      const isWrong = (point: number) => point > 0x10ffff || (point >= 0xd800 && point < 0xe000)
      if (points.some(isWrong)) damage('text is no utf-32')
      return Array.from(points, (point) => String.fromCodePoint(point)).join('')
    }
    default:
      return damage(`text has the data type ${type}`)
  }
}
