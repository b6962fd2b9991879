// Damaged MAT files: E_DATA that names the file, or values that fit together, are no larger than
// the bytes there, and of the variables the damage has not touched the right ones. 7,000 in every
// run, 70,000 with MCLOSS_SOAK=1 (list-mutants.test.ts has the other three tenths).

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync, inflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type MatValue, readMat } from '../../../../lib/data/datasets/mat/mat5.js'
import { McLossError } from '../../../../lib/errors.js'
import { soak } from '../../../support/fixture-lines.js'
import { words } from '../../../support/formula-weights.js'
import { matJson } from '../../../support/mat-json.js'
import { COMPRESSED, element, int32 } from '../../../support/mat-writer.js'
import { type Mutant, mutate } from '../../../support/mutate.js'

const COUNT = soak ? 70_000 : 7_000
const folder = join(import.meta.dirname, '../../..', 'fixtures', 'mat5')

/** A top-level element of a base, the variable in it. */
interface Part {
  from: number
  to: number
  isCompressed: boolean
  name: string
  json: string
}

interface Base {
  bytes: Buffer
  /** Bytes, of compressed parts those they hold. */
  size: number
  parts: Part[]
}

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.mat') && !name.startsWith('refused'))
  .sort()
const bases = files.map((name): Base => {
  const bytes = readFileSync(join(folder, name))
  const isBig = bytes.toString('latin1', 126, 128) === 'MI'
  const word = (at: number) => (isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))
  const parts: Part[] = []
  let size = 0
  for (let from = 128; from < bytes.length; ) {
    const to = from + 8 + word(from + 4)
    const alone = Buffer.concat([bytes.subarray(0, 128), bytes.subarray(from, to)])
    const [[name, value] = ['', undefined]] = readMat(alone, 'part.mat')
    const json = JSON.stringify(matJson(value as MatValue))
    const isCompressed = word(from) === COMPRESSED
    size += isCompressed ? inflateSync(bytes.subarray(from + 8, to)).length : to - from
    parts.push({ from, to, isCompressed, name, json })
    from = to
  }
  return { bytes, size, parts }
})

/** Lengths, dimensions and tags at their extremes, in either byte order. */
const extremes = [0, 1, 7, 14, 15, 255, 0xffff, 2 ** 20, 2 ** 31 - 1, -(2 ** 31), -1, -8]
  .flatMap((value) => [int32(value), Buffer.from(int32(value)).swap32()])
  .concat([int32(14, 2 ** 31 - 8), int32(15, -1), Buffer.alloc(8), int32(9, 0), int32(0x40001, 0)])

/** Damages the file, or within a compressed element what it holds. */
function mutantOf(number: number): { base: Base; mutant: Mutant } {
  const [pick = 0, part = 0, how = 0] = words(`mat5.${number}.base`, 3)
  const base = bases[pick % bases.length] as Base
  const target = base.parts[part % base.parts.length] as Part
  const name = `mat5.${number}`
  if (!target.isCompressed || how % 4 === 0)
    return { base, mutant: mutate(name, base.bytes, extremes) }
  const { from, to } = target
  const { bytes } = mutate(name, inflateSync(base.bytes.subarray(from + 8, to)), extremes)
  const isBig = base.bytes.toString('latin1', 126, 128) === 'MI'
  const packed = element([COMPRESSED, deflateSync(bytes)])
  if (isBig) packed.subarray(0, 4).swap32()
  if (isBig) packed.subarray(4, 8).swap32()
  const whole = [base.bytes.subarray(0, from), packed, base.bytes.subarray(to)]
  return { base, mutant: { bytes: Buffer.concat(whole), edits: [[from, to]] } }
}

const product = (dims: number[]) => dims.reduce((a, b) => a * b, 1)

/** How many values there are; throws unless dims, values and rows fit together. */
function sizeOf(value: MatValue): number {
  const count = value.dims.includes(0) ? 0 : product(value.dims)
  expect(value.dims.every((size) => Number.isInteger(size) && size >= 0)).toBe(true)
  switch (value.is) {
    case 'char': {
      const [rows = 0, columns = 0] = value.dims
      expect(value.rows).toHaveLength(columns > 0 ? rows : 0)
      for (const row of value.rows) expect([row.length, [...row].length]).toContain(columns)
      return count
    }
    case 'cell':
      expect(value.values).toHaveLength(count)
      return value.values.reduce((sum, inner) => sum + 1 + sizeOf(inner), 0)
    case 'struct': {
      let sum = count
      for (const values of value.fields.values()) {
        expect(values).toHaveLength(count)
        for (const inner of values) sum += 1 + sizeOf(inner)
      }
      return sum
    }
    default:
      expect(value.data).toHaveLength(count)
      return count
  }
}

test(`${COUNT} damaged MAT files`, { timeout: 3_600_000 }, () => {
  const counts = { read: 0, refused: 0, untouched: 0 }
  for (let number = 0; number < COUNT; number++) {
    const { base, mutant } = mutantOf(number)
    let found: Map<string, MatValue>
    try {
      found = readMat(mutant.bytes, 'mutant.mat')
    } catch (error) {
      const isRight = error instanceof McLossError && error.code === 'E_DATA'
      if (!isRight || !error.message.includes('mutant.mat')) throw error
      counts.refused++
      continue
    }
    counts.read++
    const size = [...found.values()].reduce((sum, value) => sum + sizeOf(value), 0)
    expect(size, `mutant ${number}`).toBeLessThanOrEqual(base.size + 64) // what edits may add
    for (const { from, to, name, json } of base.parts) {
      const value = found.get(name)
      if (value === undefined || mutant.edits.some(([a, b]) => a < to && b > from)) continue
      counts.untouched++
      expect(JSON.stringify(matJson(value)), `mutant ${number}, ${name}`).toBe(json)
    }
  }
  // Every outcome must have been met often, or the mutants test nothing.
  expect(Math.min(counts.read, counts.refused, counts.untouched)).toBeGreaterThan(COUNT / 20)
})
