// Weight files that do not fit or are damaged: E_WEIGHTS that lists the names, and nothing copied.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NativeTrainer, native } from '../../../lib/binding.js'
import { toyTrainer } from '../../support/formula-batch.js'
import { type StateHeader, stateOf, writeWeights } from '../../support/formula-weights.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const path = join(folder, 'given.safetensors')
let trainer: NativeTrainer
let state: StateHeader
let untouched: Buffer

async function weights(): Promise<Buffer> {
  await stateOf(trainer, folder)
  return readFileSync(join(folder, 'state', 'model.safetensors'))
}

beforeAll(async () => {
  trainer = await native().NativeTrainer.create(toyTrainer())
  state = await stateOf(trainer, folder)
  untouched = await weights()
})

afterAll(async () => {
  expect((await weights()).equals(untouched)).toBe(true)
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})

const load = () => trainer.loadWeights(path, { backboneOnly: false })

test('missing, unexpected and mis-shaped names are all listed', async () => {
  const given: StateHeader = new Map(state)
  given.delete('features.0.weight')
  given.delete('head.norm1.running_mean')
  given.set('features.99.weight', { dtype: 'F32', shape: [1] })
  given.set('head.fc2.weight', { dtype: 'F32', shape: [7, 32] })
  writeWeights(path, given)
  await expect(load()).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(
      /missing \(2\): .*features\.0\.weight.*\n.*unexpected \(1\): features\.99\.weight\n.*mis-shaped \(1\): head\.fc2\.weight \[7, 32\] instead of \[5, 32\]/,
    ),
  })
  await expect(load()).rejects.toThrow(path)
})

test('a file without batch counts, as PyTorch before 0.4.1 wrote them, is whole', async () => {
  const old = await native().NativeTrainer.create(toyTrainer())
  const given: StateHeader = new Map(state)
  for (const name of state.keys()) if (name.endsWith('num_batches_tracked')) given.delete(name)
  expect(given.size).toBeLessThan(state.size)
  writeWeights(path, given)
  await old.loadWeights(path, { backboneOnly: false })
  await old.dispose()
})

test('a file cut short, at any place', async () => {
  writeWeights(path, state)
  const whole = readFileSync(path)
  for (const length of [0, 7, 8, 100, whole.length - 4096, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, length))
    await expect(load(), `${length} bytes`).rejects.toMatchObject({
      code: 'E_WEIGHTS',
      message: expect.stringContaining(path),
    })
  }
})

test('a file that is no safetensors file, and one that is not there', async () => {
  writeFileSync(
    path,
    'PK\u0003\u0004 this is a zip archive, as a .pth is, and not what was asked for',
  )
  await expect(load()).rejects.toMatchObject({ code: 'E_WEIGHTS' })
  rmSync(path)
  await expect(load()).rejects.toMatchObject({
    code: 'E_IO',
    message: expect.stringContaining(path),
  })
})

test('a checkpoint of another model', async () => {
  const small = { ...toyTrainer().model, numClasses: 4 }
  const other = await native().NativeTrainer.create(toyTrainer({ model: small }))
  const saved = join(folder, 'other')
  mkdirSync(saved)
  await other.save(saved, {})
  await other.dispose()
  await expect(trainer.load(saved)).rejects.toMatchObject({ code: 'E_WEIGHTS' })
})
