// What is saved is all there is: a trainer with other initial weights, loaded, goes on bit for bit.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type NativeTrainer, native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { readHeader, stateOf, writeWeights } from '../../support/formula-weights.js'
import { temporaryFolder } from '../../support/small-birds.js'

const batch = wholeBatch(16, 32, 5)

async function bytesOf(trainer: NativeTrainer, folder: string): Promise<Buffer[]> {
  mkdirSync(folder)
  await trainer.save(folder, { note: 'test' })
  return ['model.safetensors', 'optimizer.safetensors'].map((name) =>
    readFileSync(join(folder, name)),
  )
}

test('save, load into another trainer, and the next steps are the same bits', async () => {
  const folder = temporaryFolder()
  const loss = mcLossConfig
  const first = await native().NativeTrainer.create(toyTrainer({ loss, initSeed: 1 }))
  const second = await native().NativeTrainer.create(toyTrainer({ loss, initSeed: 2 }))
  for (let step = 0; step < 3; step++) await first.step(batch, { step, seed: 5, lr: 0.05 })
  await first.stats()

  const saved = await bytesOf(first, join(folder, 'saved'))
  expect(await bytesOf(second, join(folder, 'other'))).not.toEqual(saved)
  await second.load(join(folder, 'saved'))
  expect(await bytesOf(second, join(folder, 'loaded'))).toEqual(saved)

  for (let step = 3; step < 6; step++) {
    const options = { step, seed: 5, lr: 0.05 }
    await Promise.all([first.step(batch, options), second.step(batch, options)])
    const [one, other] = [await first.stats(), await second.stats()]
    expect({ ...other, ms: 0 }).toEqual({ ...one, ms: 0 })
  }
  const end = await bytesOf(first, join(folder, 'first'))
  expect(end).not.toEqual(saved)
  expect(await bytesOf(second, join(folder, 'second'))).toEqual(end)
  await Promise.all([first.dispose(), second.dispose()])
  rmSync(folder, { recursive: true })
})

test('without momentum a step is what the first step with momentum is, and nothing is kept', async () => {
  const folder = temporaryFolder()
  const optim = { ...toyTrainer().optim, momentum: 0 }
  const files: (Buffer | undefined)[][] = []
  for (const [index, config] of [toyTrainer(), toyTrainer({ optim })].entries()) {
    const trainer = await native().NativeTrainer.create(config)
    await trainer.step(batch, { step: 0, seed: 5, lr: 0.05 })
    const saved = join(folder, String(index))
    files.push(await bytesOf(trainer, saved))
    await trainer.load(saved)
    await trainer.dispose()
  }
  expect(files[1]?.[0]).toEqual(files[0]?.[0])
  expect([...readHeader(join(folder, '0', 'optimizer.safetensors')).keys()]).not.toEqual([])
  expect([...readHeader(join(folder, '1', 'optimizer.safetensors')).keys()]).toEqual([])
  rmSync(folder, { recursive: true })
})

test("another run's velocities are refused, and the weights beside them not taken", async () => {
  const folder = temporaryFolder()
  const trainer = await native().NativeTrainer.create(toyTrainer({ initSeed: 1 }))
  const other = await native().NativeTrainer.create(toyTrainer({ initSeed: 2 }))
  const before = await bytesOf(trainer, join(folder, 'before'))
  await bytesOf(other, join(folder, 'other'))
  writeWeights(join(folder, 'other', 'optimizer.safetensors'), new Map())
  await expect(trainer.load(join(folder, 'other'))).rejects.toMatchObject({ code: 'E_CHECKPOINT' })
  expect(await bytesOf(trainer, join(folder, 'after'))).toEqual(before)
  await Promise.all([trainer.dispose(), other.dispose()])
  rmSync(folder, { recursive: true })
})

test('the same initial seed gives the same weights, another seed gives others', async () => {
  const folder = temporaryFolder()
  const files: Buffer[] = []
  for (const [index, initSeed] of [1, 1, 2].entries()) {
    const trainer = await native().NativeTrainer.create(toyTrainer({ initSeed }))
    files.push(...(await bytesOf(trainer, join(folder, String(index)))).slice(0, 1))
    await trainer.dispose()
  }
  expect(files[1]).toEqual(files[0])
  expect(files[2]).not.toEqual(files[0])
  rmSync(folder, { recursive: true })
})

test('backboneOnly takes the backbone and leaves the head', async () => {
  const folder = temporaryFolder()
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const before = await bytesOf(trainer, join(folder, 'before'))
  // A file of another head, with other classes: its head entries are ignored.
  const state = await stateOf(trainer, folder)
  for (const name of [...state.keys()].filter((key) => key.startsWith('head.'))) state.delete(name)
  state.set('fc.weight', { dtype: 'F32', shape: [1000, 32] })
  const path = join(folder, 'backbone.safetensors')
  writeWeights(path, state)
  await trainer.loadWeights(path, { backboneOnly: true })
  const after = await bytesOf(trainer, join(folder, 'after'))

  const tensor = (file: Buffer | undefined, name: string) => {
    if (!file) throw new Error('no file')
    const length = Number(file.readBigUInt64LE(0))
    const entry = JSON.parse(file.toString('utf8', 8, 8 + length))[name]
    const [begin, end] = entry.data_offsets as [number, number]
    return file.subarray(8 + length + begin, 8 + length + end)
  }
  for (const name of ['head.fc1.weight', 'head.fc2.bias', 'head.norm1.running_var']) {
    expect(tensor(after[0], name), name).toEqual(tensor(before[0], name))
  }
  for (const name of ['features.0.weight', 'features.1.running_var']) {
    expect(tensor(after[0], name), name).toEqual(tensor(readFileSync(path), name))
    expect(tensor(after[0], name), name).not.toEqual(tensor(before[0], name))
  }
  await trainer.dispose()
  rmSync(folder, { recursive: true })
})
