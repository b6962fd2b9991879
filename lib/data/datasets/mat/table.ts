// Columns of a data set's MAT file: the variables and fields a reader wants, checked.

import { McLossError } from '../../../errors.js'
import { readInside } from '../lists/inside.js'
import { type Place, placeError } from '../lists/place.js'
import { MAX_MAT_BYTES, type MatValue, readMat } from './mat5.js'

export interface MatFile {
  file: string
  variables: Map<string, MatValue>
}

/** Reads a MAT file below `root` (a real path). @throws McLossError E_DATA. */
export async function openMat(root: string, file: string): Promise<MatFile> {
  return { file, variables: readMat(await readInside(root, file, MAX_MAT_BYTES), file) }
}

/** The whole numbers of a variable. @throws McLossError E_DATA unless all are least..most. */
export function integersOf(mat: MatFile, name: string, least: number, most: number): number[] {
  const value = variable(mat, name)
  const place = { file: mat.file, at: name }
  if (!('data' in value)) throw placeError(place, 'numbers', value.is)
  return Array.from<number | bigint, number>(value.data, (number, at) =>
    integer(number, { file: mat.file, at: `${name}(${at + 1})` }, least, most),
  )
}

/** The texts of a cell array. @throws McLossError E_DATA for other values. */
export function textsOf(mat: MatFile, name: string): string[] {
  const value = variable(mat, name)
  if (value.is !== 'cell') throw placeError({ file: mat.file, at: name }, 'a cell array', value.is)
  return value.values.map((text, at) => textOf(text, { file: mat.file, at: `${name}{${at + 1}}` }))
}

/** A struct of a struct array. */
export interface MatRecord {
  place: Place
  /** @throws McLossError E_DATA unless the field is one whole number least..most. */
  integer(field: string, least: number, most: number): number
  /** @throws McLossError E_DATA unless the field is text. */
  text(field: string): string
}

/** The structs of a struct array that has all `fields`. @throws McLossError E_DATA. */
export function recordsOf(mat: MatFile, name: string, fields: readonly string[]): MatRecord[] {
  const structs = variable(mat, name)
  const { file } = mat
  if (structs.is !== 'struct') throw placeError({ file, at: name }, 'a struct array', structs.is)
  const missing = fields.find((field) => !structs.fields.has(field))
  if (missing !== undefined) {
    const there = [...structs.fields.keys()].join(', ')
    throw placeError({ file, at: name }, `a struct array with the field ${missing}`, there)
  }
  const count = structs.fields.get(fields[0] as string)?.length ?? 0
  return Array.from({ length: count }, (_, at) => {
    const place = { file, at: `${name}(${at + 1})` }
    const fieldOf = (field: string) => structs.fields.get(field)?.[at] as MatValue
    const placeOf = (field: string) => ({ file, at: `${place.at}.${field}` })
    return {
      place,
      integer(field, least, most) {
        const value = fieldOf(field)
        const [number] = 'data' in value && value.data.length === 1 ? value.data : []
        return integer(number, placeOf(field), least, most)
      },
      text: (field) => textOf(fieldOf(field), placeOf(field)),
    }
  })
}

function variable({ file, variables }: MatFile, name: string): MatValue {
  const value = variables.get(name)
  if (value) return value
  const there = [...variables.keys()].slice(0, 5).join(', ') || 'none'
  throw new McLossError(
    'E_DATA',
    `datasets: expected ${file} to hold the variable ${name}, but it holds ${there}. Take the file ` +
      'from its official source again.',
  )
}

function integer(value: unknown, place: Place, least: number, most: number): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (Number.isInteger(number) && (number as number) >= least && (number as number) <= most) {
    return number as number
  }
  throw placeError(place, `an integer ${least}..${most}`, value)
}

function textOf(value: MatValue, place: Place): string {
  const [text, ...more] = value.is === 'char' ? value.rows : []
  if (text !== undefined && more.length === 0) return text
  throw placeError(place, 'a line of text', value.is)
}
