// What a model takes of a file: a part of it, or what fits; and which values it refuses. The lists that
// come back are held against names chosen here.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type NativeTrainer, native } from '../../../lib/binding.js'
import { McLossError } from '../../../lib/errors.js'
import { toyTrainer } from '../../support/formula-batch.js'
import { type StateHeader, stateOf, writeWeights } from '../../support/formula-weights.js'
import {
  numbersOf,
  type PlainFile,
  type PlainTensor,
  weightsOf,
} from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const path = join(folder, 'given.safetensors')
let trainer: NativeTrainer
let state: StateHeader
const isHead = (name: string) => name.startsWith('head.')
const isCounter = (name: string) => name.endsWith('.num_batches_tracked')
const sorted = (names: Iterable<string>) => [...names].sort()

beforeAll(async () => {
  trainer = await native().NativeTrainer.create(toyTrainer())
  state = await stateOf(trainer, folder)
})

afterAll(async () => {
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

/** The names of tensors that differ between two states. */
function changed(before: PlainFile, after: PlainFile): string[] {
  const differs = ([name, { bytes }]: [string, PlainTensor]) =>
    !before.tensors.get(name)?.bytes.equals(bytes)
  return [...after.tensors].filter(differs).map(([name]) => name)
}

async function refusal(options: { backboneOnly: boolean; partial?: boolean }): Promise<string> {
  const before = await weightsOf(trainer, folder)
  const error = await trainer.loadWeights(path, options).then(
    () => 'it was taken',
    (cause: unknown) => cause,
  )
  expect(await weightsOf(trainer, folder)).toEqual(before)
  if (!(error instanceof McLossError)) throw new Error(String(error))
  expect(error.code).toBe('E_WEIGHTS')
  return error.message
}

test('the backbone alone: the head is left out of the file and stays as it is in the model', async () => {
  const given: StateHeader = new Map(state)
  for (const name of state.keys()) if (isHead(name) || isCounter(name)) given.delete(name)
  given.set('fc.weight', { dtype: 'F32', shape: [1000, 32] })
  writeWeights(path, given, (name, values) => {
    if (name === 'fc.weight') values[0] = Number.NaN // it is not read
  })
  const loaded = await trainer.loadWeights(path, { backboneOnly: true })
  expect(loaded).toMatchObject({ format: 'safetensors', wrapper: null, prefix: null, changes: [] })
  expect(sorted(loaded.taken)).toEqual(sorted(given.keys()).filter((name) => name !== 'fc.weight'))
  expect(loaded.leftOut).toEqual(['fc.weight'])
  const rest = sorted(state.keys()).filter((name) => isHead(name) && !isCounter(name))
  expect(sorted(loaded.initialised)).toEqual(rest)
})

test('partial: what does not fit is listed, and only then left out', async () => {
  const given: StateHeader = new Map(state)
  given.delete('features.1.bias')
  given.set('features.0.weight', { dtype: 'F32', shape: [8, 3, 5, 5] })
  given.set('features.99.weight', { dtype: 'F32', shape: [1] })
  writeWeights(path, given, (name, values) => {
    if (name === 'features.1.weight') values[0] = 77
  })
  expect(await refusal({ backboneOnly: true })).toMatch(
    /missing \(1\).*unexpected \(1\).*mis-shaped \(1\).*model\.allowPartial/s,
  )
  const before = await weightsOf(trainer, folder)
  const loaded = await trainer.loadWeights(path, { backboneOnly: false, partial: true })
  expect(sorted(loaded.initialised)).toEqual(['features.0.weight', 'features.1.bias'])
  expect(sorted(loaded.leftOut)).toEqual(['features.0.weight', 'features.99.weight'])
  expect(loaded.taken).toHaveLength(state.size - 2)
  const after = await weightsOf(trainer, folder)
  const names = changed(before, after)
  expect(names).not.toContain('features.0.weight')
  expect(names).not.toContain('features.1.bias')
  expect(numbersOf(after.tensors.get('features.1.weight') as PlainTensor)[0]).toBe(77)
})

test('partial, and nothing fits: refused; of each list the first 20 are named', async () => {
  const names = Array.from({ length: 25 }, (_, i) => `other.${String(i).padStart(2, '0')}`)
  writeWeights(path, new Map(names.map((name) => [name, { dtype: 'F32', shape: [1] }])))
  const message = await refusal({ backboneOnly: false, partial: true })
  expect(message).toContain(`unexpected (25): ${names.slice(0, 20).join(' ')} and 5 more\n`)
  expect(message).toMatch(/missing \(\d\d\):( \S+){20} and \d+ more\n/)
  expect(message).not.toContain('other.20')
})

describe('a value that is no finite float32 is refused by the name of its tensor', () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%s',
    async (value) => {
      for (const target of ['features.0.weight', 'head.norm1.running_var']) {
        writeWeights(path, state, (name, values) => {
          if (name === target) values[values.length - 1] = value
        })
        const message = await refusal({ backboneOnly: false })
        expect(message).toContain(`"${target}" of ${path}`)
      }
      await trainer.loadWeights(path, { backboneOnly: true })
    },
  )

  test('the largest ones are taken', async () => {
    writeWeights(path, state, (name, values) => {
      if (name === 'features.0.weight') [values[0], values[1]] = [3.4028234663852886e38, -3e38]
    })
    await trainer.loadWeights(path, { backboneOnly: false })
  })
})

test('a tensor of several pieces is whole, and its last value is judged', async () => {
  const model = { ...toyTrainer().model, head: 'linear', numClasses: 150_000 }
  const large = await native().NativeTrainer.create(toyTrainer({ model }))
  const name = 'head.fc.weight'
  const shapes = await stateOf(large, folder)
  const shape = shapes.get(name)?.shape ?? []
  expect(4 * (shape[0] ?? 0) * (shape[1] ?? 0)).toBeGreaterThan(2 * 2 ** 23)
  const count = (end: number) =>
    writeWeights(path, shapes, (each, values) => {
      if (each !== name) return
      for (let i = 0; i < values.length; i++) values[i] = i
      values[values.length - 1] = end
    })
  count(Number.NaN)
  await expect(large.loadWeights(path, { backboneOnly: false })).rejects.toThrow(name)
  count(5)
  await large.loadWeights(path, { backboneOnly: false })
  const saved = (await weightsOf(large, folder)).tensors.get(name) as PlainTensor
  const { buffer, byteOffset, byteLength } = saved.bytes
  const values = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))
  expect(values.findIndex((value, i) => value !== (i + 1 < values.length ? i : 5))).toBe(-1)
  await large.dispose()
})
