// The MAT reader against what SciPy reads from the same files (test/fixtures/make_mat5.py).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { MAX_MAT_BYTES, readMat } from '../../../../lib/data/datasets/mat/mat5.js'
import { fixtureLines } from '../../../support/fixture-lines.js'
import { matJson } from '../../../support/mat-json.js'
import { COMPRESSED, element, int32, MATRIX, matFile, matrix } from '../../../support/mat-writer.js'
import { dataError } from '../../../support/tree.js'

const folder = join(import.meta.dirname, '../../..', 'fixtures', 'mat5')
const fixture = (file: string) => readFileSync(join(folder, file))

interface Case {
  file: string
  /** Classes by MATLAB's names. */
  kinds: Record<string, string>
  variables: Record<string, object>
}
const cases = fixtureLines<Case>('mat5/expected.jsonl')

test.each(cases)('$file is what SciPy reads', ({ file, kinds, variables }) => {
  const found = readMat(fixture(file), file)
  const json = [...found].map(([name, value]) => [name, matJson(value)])
  expect(Object.fromEntries(json)).toEqual(variables)
  expect(Object.fromEntries([...found].map(([name, { is }]) => [name, is]))).toEqual(kinds)
})

test('numbers come in the array of their class, bytes at any offset', () => {
  const bytes = fixture('little-endian.mat')
  const shifted = new Uint8Array(bytes.length + 3)
  shifted.set(bytes, 3)
  const found = readMat(shifted.subarray(3), 'x.mat')
  expect(found.get('in_uint8')).toMatchObject({ data: Float64Array.of(1, 2, 3, 250) })
  expect(found.get('in_int32')).toMatchObject({ data: BigInt64Array.of(-(2n ** 31n), 5n) })
  expect(found.get('packed')).toMatchObject({ data: Uint16Array.of(9, 8, 7) })
})

describe('refused with E_DATA, naming the file:', () => {
  test.each([
    ['hdf5.mat', ['HDF5', 'save it again with scipy.io.savemat', '-v7']],
    ['v4.mat', ['v4', 'save it again with scipy.io.savemat']],
    ['sparse.mat', ["'s' is of class sparse"]],
    ['object.mat', ["'thing' is of class object"]],
    ['function.mat', ["'f' is of class function"]],
    ['complex.mat', ["'z' is complex"]],
  ])('%s', (file, parts) => {
    const words = parts.map((part) => part.replace(/^save/, 'Save'))
    expect(() => readMat(fixture(`refused/${file}`), file)).toThrow(dataError(file, ...words))
  })

  const nested = (depth: number): Buffer =>
    depth === 0
      ? matrix(9, [1, 1], '', [2, Buffer.of(1)])
      : matrix(1, [1, 1], depth === 40 ? 'deep' : '', [MATRIX, nested(depth - 1).subarray(8)])
  const one = matrix(9, [1, 1], 'x', [2, Buffer.of(1)])
  const bomb = deflateSync(Buffer.alloc(MAX_MAT_BYTES + 1))

  test('(the files below are right but for one thing)', () => {
    expect(matJson(readMat(matFile(one), 'x.mat').get('x') as never)).toEqual({
      dims: [1, 1],
      data: [1],
    })
  })

  test.each([
    ['an empty file', Buffer.alloc(0), 'fewer than a header'],
    ['another file', Buffer.from('x'.repeat(200)), 'no endian mark'],
    ['a large file', Buffer.alloc(MAX_MAT_BYTES + 1, 'x'), `more than ${MAX_MAT_BYTES} bytes`],
    ['half a tag', matFile(Buffer.alloc(4, 1)), 'cut short'],
    ['a matrix cut short', matFile(one).subarray(0, -9), 'goes beyond'],
    ['an element that is no matrix', matFile(element([2, Buffer.of(1)])), 'type 2'],
    ['an inflated bomb', matFile(element([COMPRESSED, bomb])), `more than ${MAX_MAT_BYTES} bytes`],
    [
      'compressed within compressed',
      matFile(element([COMPRESSED, deflateSync(element([COMPRESSED, deflateSync(one)]))])),
      'type 15',
    ],
    [
      'two variables in one compressed element',
      matFile(element([COMPRESSED, deflateSync(Buffer.concat([one, one]))])),
      'more than one variable',
    ],
    [
      'a damaged compressed element',
      matFile(element([COMPRESSED, Buffer.alloc(20, 7)])),
      'damaged',
    ],
    ['cells 40 deep', matFile(nested(40)), 'deep'],
    ['a variable twice', matFile(one, one), "'x' is there twice"],
    ['a variable without a name', matFile(matrix(9, [1, 1], '', [2, Buffer.of(1)])), 'no name'],
    [
      'more values than bytes',
      matFile(matrix(9, [1, 1e9], 'x', [2, Buffer.of(1)])),
      '1000000000 values',
    ],
    [
      'more values than stored',
      matFile(matrix(9, [1, 9], 'x', [2, Buffer.of(1)])),
      '1 values of 9',
    ],
    ['more cells than bytes', matFile(matrix(1, [1, 30], 'x')), '30 matrices'],
    [
      'structs without fields beyond the bytes',
      matFile(matrix(2, [1, 1e6], 'x', [5, int32(8)], [1, Buffer.alloc(0)])),
      '1000000 values',
    ],
    ['a dimension below 0', matFile(matrix(9, [-1, -1], 'x', [2, Buffer.of(1)])), '[-1, -1]'],
    ['one dimension', matFile(matrix(9, [1], 'x', [2, Buffer.of(1)])), '[1]'],
    ['a class there is not', matFile(matrix(77, [1, 1], 'x', [2, Buffer.of(1)])), 'class 77'],
    ['text in numbers', matFile(matrix(9, [1, 1], 'x', [16, Buffer.of(65)])), 'data type 16'],
    [
      'half a number',
      matFile(matrix(6, [1, 1], 'x', [9, Buffer.alloc(5)])),
      'double numbers have 5',
    ],
    [
      '300 as uint8',
      matFile(matrix(9, [1, 1], 'x', [4, Buffer.of(44, 1)])),
      '300 is stored as uint8',
    ],
    ['broken UTF-8', matFile(matrix(4, [1, 1], 'x', [16, Buffer.of(0xff)])), 'no utf-8'],
    ['text of another length', matFile(matrix(4, [1, 3], 'x', [16, Buffer.from('ab')])), '1 x 3'],
    [
      'two fields of one name',
      matFile(matrix(2, [1, 0], 'x', [5, int32(2)], [1, Buffer.from('a\0a\0')])),
      'two fields',
    ],
  ])('%s', (_name, bytes, part) => {
    expect(() => readMat(bytes, 'odd.mat')).toThrow(dataError('odd.mat', part))
  })
})
