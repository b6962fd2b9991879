// Native's own part of reading weights: a table made by hand, as a reader of another format gives it,
// with tensors that share a storage, lie across it or begin inside it; and tables that lie.

import { closeSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NativeTrainer } from '../../../lib/binding.js'
import type { TensorFiles } from '../../../lib/weights/index.js'
import {
  contiguousStrides,
  type OpenWeights,
  type StoredTensor,
} from '../../../lib/weights/table.js'
import {
  numbersOf,
  type PlainTensor,
  smallTrainer,
  weightsOf,
} from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const path = join(folder, 'storages.bin')
let trainer: NativeTrainer & TensorFiles
/** The model's own tensors, by name. */
let model: Map<string, PlainTensor>
/** The same, as a table over a file of one storage each, all zeros. */
let plain: StoredTensor[]
let fd: number

const elements = (shape: number[]) => shape.reduce((a, b) => a * b, 1)

beforeAll(async () => {
  trainer = (await smallTrainer()) as NativeTrainer & TensorFiles
  model = (await weightsOf(trainer, folder)).tensors
  let end = 0
  plain = [...model].map(([name, { shape }]) => {
    const begin = end
    end += 4 * elements(shape)
    const storage = { begin, end }
    return { name, dtype: 'F32', shape, strides: contiguousStrides(shape), offset: 0, storage }
  })
  writeFileSync(path, Buffer.alloc(end))
  fd = openSync(path, 'r+')
})

afterAll(async () => {
  closeSync(fd)
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

const load = (tensors: StoredTensor[], file: Partial<OpenWeights> = {}) =>
  trainer.loadFile(
    { fd, path, format: 'test', tensors, ...file },
    { part: 'all', partial: false, finite: true },
  )

/** The plain table with another place for one tensor. */
const changed = (name: string, change: Partial<StoredTensor>) =>
  plain.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor))

const weight = 'features.0.weight' // [out, 3, 3, 3]
const bias = 'features.1.bias' // [out]

test('any strides, an offset, a shared storage: every element is where the table says', async () => {
  const shape = model.get(weight)?.shape ?? []
  const [out = 0, channels = 0, height = 0, width = 0] = shape
  const values = Float32Array.from({ length: 3000 }, (_, i) => i + 1)
  const other = join(folder, 'strided.bin')
  writeFileSync(other, Buffer.concat([Buffer.alloc(4 * 7), new Uint8Array(values.buffer)]))
  // Written as [width, height, channels, out] with a gap after every element, from element 5 on.
  const strides = [2, 2 * out, 2 * out * channels, 2 * out * channels * height]
  const storage = { begin: 28, end: 28 + 4 * values.length }
  const open = openSync(other, 'r')
  const rest = plain
    .filter(({ name }) => name !== weight)
    .map((tensor) => ({ ...tensor, offset: 3, storage }))
  await load([...rest, { name: weight, dtype: 'F32', shape, strides, offset: 5, storage }], {
    fd: open,
  })
  closeSync(open)

  const { tensors } = await weightsOf(trainer, folder)
  const at = (index: number[]) =>
    values[5 + index.reduce((sum, n, i) => sum + n * (strides[i] ?? 0), 0)]
  const expected: (number | undefined)[] = []
  for (let o = 0; o < out; o++)
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) expected.push(at([o, c, y, x]))
  expect(numbersOf(tensors.get(weight) as PlainTensor)).toEqual(expected)
  for (const { name, shape } of rest) {
    const own = [...values.subarray(3, 3 + elements(shape))]
    expect(numbersOf(tensors.get(name) as PlainTensor), name).toEqual(own)
  }
})

describe('a table that leads outside is refused, and nothing is loaded', () => {
  const end = () => plain.at(-1)?.storage.end ?? 0
  const size = () => elements(model.get(weight)?.shape ?? [])
  test.each<[string, () => Partial<StoredTensor>, RegExp]>([
    ['a storage past the file', () => ({ storage: { begin: 4, end: end() + 1 } }), /not inside/],
    ['a storage that ends first', () => ({ storage: { begin: 8, end: 4 } }), /not inside/],
    ['an offset past the storage', () => ({ offset: 1 }), /need \d+ bytes, its storage has/],
    ['an enormous offset', () => ({ offset: 2 ** 53 - 1 }), /need|too large/],
    ['a stride past the storage', () => ({ strides: [28, 9, 3, 1] }), /need/],
    ['enormous strides', () => ({ strides: Array(4).fill(2 ** 53 - 1) }), /need|too large/],
    ['strides of another rank', () => ({ strides: [1] }), /as many strides/],
    ['more elements than bytes', () => ({ shape: [2 ** 40, 1], strides: [0, 0] }), /need/],
    ['a shape past 2^63', () => ({ shape: [2 ** 52, 2 ** 52], strides: [0, 0] }), /too large/],
    ['65 dimensions', () => ({ shape: Array(65).fill(1), strides: Array(65).fill(1) }), /64/],
    ['another dtype', () => ({ dtype: 'F8' as never }), /dtype "F8" is none/],
    ['a wider dtype', () => ({ dtype: 'F64' }), /need \d+ bytes/],
  ])('%s', async (_, change, says) => {
    expect(size()).toBeGreaterThan(27)
    const before = await weightsOf(trainer, folder)
    await expect(load(changed(weight, change()))).rejects.toMatchObject({
      code: 'E_WEIGHTS',
      message: expect.stringMatching(says),
    })
    expect(await weightsOf(trainer, folder)).toEqual(before)
  })

  test('values that are no offsets', async () => {
    for (const change of [{ offset: -1 }, { offset: 0.5 }, { shape: [Number.NaN] }] as const) {
      await expect(load(changed(bias, change as never))).rejects.toMatchObject({
        code: 'E_ARGUMENT',
        message: expect.stringContaining('tensors['),
      })
    }
  })

  test('a descriptor of nothing, and a file cut after its table was made', async () => {
    await expect(load(plain, { fd: 99_999 })).rejects.toMatchObject({ code: 'E_IO' })
    truncateSync(path, 100)
    await expect(load(plain)).rejects.toMatchObject({ code: 'E_WEIGHTS' })
  })
})
