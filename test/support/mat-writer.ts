// Writes small MAT files, little-endian and right unless told otherwise, for what SciPy will not
// write: damage and hostile values.

export const MATRIX = 14
export const COMPRESSED = 15
export type Part = [type: number, bytes: Uint8Array]

/** An element that is never small: tag, bytes, padding. */
export function element([type, bytes]: Part): Buffer {
  const tag = Buffer.alloc(8)
  tag.writeUInt32LE(type, 0)
  tag.writeUInt32LE(bytes.length, 4)
  const padding = type === COMPRESSED ? 0 : (8 - (bytes.length % 8)) % 8
  return Buffer.concat([tag, bytes, Buffer.alloc(padding)])
}

export const int32 = (...values: number[]) => Buffer.from(Int32Array.from(values).buffer)

/** A matrix element of these parts after its flags, dimensions and name. */
export function matrix(flags: number, dims: number[], name: string, ...parts: Part[]): Buffer {
  const head: Part[] = [
    [6, int32(flags, 0)],
    [5, int32(...dims)],
    [1, Buffer.from(name)],
  ]
  return element([MATRIX, Buffer.concat([...head, ...parts].map(element))])
}

/** A file of these matrices. */
export function matFile(...matrices: Buffer[]): Buffer {
  const header = Buffer.alloc(128, ' ')
  header.write('MATLAB 5.0 MAT-file, for a test')
  header.writeUInt16LE(0x0100, 124)
  header.write('IM', 126)
  return Buffer.concat([header, ...matrices])
}

export type Plain = number[] | string | { cell: Plain[] } | { structs: Record<string, Plain>[] }

/** A row vector of doubles, a line of text, a 1 x n cell array or a 1 x n struct array. */
export function variable(name: string, value: Plain): Buffer {
  const inner = (values: Plain[]) =>
    values.map((one): Part => [MATRIX, variable('', one).subarray(8)])
  if (typeof value === 'string') {
    const text = Buffer.from(value, 'utf16le')
    return matrix(4, [1, text.length / 2], name, [17, text])
  }
  if (Array.isArray(value)) {
    const numbers = Buffer.from(Float64Array.from(value).buffer)
    return matrix(6, [1, value.length], name, [9, numbers])
  }
  if ('cell' in value) return matrix(1, [1, value.cell.length], name, ...inner(value.cell))
  const fields = Object.keys(value.structs[0] ?? {})
  const names = Buffer.concat(
    fields.map((field) => Buffer.alloc(32, '\0').fill(field, 0, field.length)),
  )
  const values = value.structs.flatMap((struct) => inner(Object.values(struct)))
  return matrix(2, [1, value.structs.length], name, [5, int32(32)], [1, names], ...values)
}

export const variables = (values: Record<string, Plain>) =>
  matFile(...Object.entries(values).map(([name, value]) => variable(name, value)))
