// A step whose loss is not finite leaves no trace: weights, running statistics and velocities stay
// bit for bit, the sums stay clean, and training goes on as if it had not been.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type NativeTrainer, native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { stateOf, writeWeights } from '../../support/formula-weights.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const batch = wholeBatch(16, 32, 5)
const files = ['model.safetensors', 'optimizer.safetensors']
afterAll(() => rmSync(folder, { recursive: true }))

async function save(trainer: NativeTrainer, name: string): Promise<Buffer[]> {
  const path = join(folder, name)
  mkdirSync(path)
  await trainer.save(path, {})
  return files.map((file) => readFileSync(join(path, file)))
}

/** A file that fits the toy model, with one value replaced. */
async function poisoned(trainer: NativeTrainer, target: string, value: number): Promise<string> {
  const path = join(folder, `${target}.safetensors`)
  writeWeights(path, await stateOf(trainer, folder), (name, values) => {
    if (name === target) values[0] = value
  })
  return path
}

for (const [target, value] of [
  ['features.0.weight', Number.NaN], // poisons every running statistic in the forward pass
  ['head.fc2.bias', Number.POSITIVE_INFINITY], // the loss alone
] as const) {
  test(`${value} in ${target}: the step is skipped`, async () => {
    const trainer = await native().NativeTrainer.create(toyTrainer({ loss: mcLossConfig }))
    await trainer.step(batch, { step: 0, seed: 1, lr: 0.02 })
    const good = await trainer.stats()
    expect(good).toMatchObject({ steps: 1, skipped: 0, n: 16 })
    const healthy = await save(trainer, `healthy ${target}`)

    const options = { backboneOnly: false, anyValues: true }
    await trainer.loadWeights(await poisoned(trainer, target, value), options)
    const before = await save(trainer, `before ${target}`)
    await trainer.step(batch, { step: 1, seed: 1, lr: 0.02 })
    await trainer.step(batch, { step: 2, seed: 1, lr: 0.02, microBatch: 6 })
    const after = await save(trainer, `after ${target}`)
    expect(after[0]?.equals(before[0] as Buffer), 'weights and running statistics').toBe(true)
    expect(after[1]?.equals(before[1] as Buffer), 'velocities').toBe(true)
    expect(after[1]?.equals(healthy[1] as Buffer), 'velocities of the good step').toBe(true)
    const none = { n: 0, correct: 0, loss: 0, gradNorm: 0, parts: { ce: 0, dis: 0, div: 0 } }
    expect(await trainer.stats()).toMatchObject({ steps: 2, skipped: 2, ...none })

    // Back on its feet: the same next step as a trainer that never saw it.
    await trainer.load(join(folder, `healthy ${target}`))
    const other = await native().NativeTrainer.create(toyTrainer({ loss: mcLossConfig }))
    await other.load(join(folder, `healthy ${target}`))
    for (const each of [trainer, other]) await each.step(batch, { step: 1, seed: 1, lr: 0.02 })
    const [one, two] = [await trainer.stats(), await other.stats()]
    expect(one.skipped).toBe(0)
    expect(one.loss).toBe(two.loss)
    await Promise.all([trainer.dispose(), other.dispose()])
  })
}

test('a skipped step among good ones adds to `skipped` and `steps` alone', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const bad = await poisoned(trainer, 'features.0.weight', Number.NaN)
  await trainer.step(batch, { step: 0, seed: 1, lr: 0 })
  const alone = await trainer.stats()
  await save(trainer, 'good')
  await trainer.loadWeights(bad, { backboneOnly: false, anyValues: true })
  await trainer.step(batch, { step: 1, seed: 1, lr: 0 })
  await trainer.load(join(folder, 'good'))
  await trainer.step(batch, { step: 2, seed: 1, lr: 0 })
  const { loss, ...counts } = await trainer.stats()
  expect(counts).toMatchObject({ steps: 2, skipped: 1, n: 16, correct: alone.correct })
  expect(loss).toBe(alone.loss)
  await trainer.dispose()
})

test('a step that fails half-way leaves no trace either', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  await trainer.step(batch, { step: 0, seed: 1, lr: 0.02 })
  await trainer.stats()
  const before = await save(trainer, 'before failing')
  // The last micro-batch holds one sample, which batch norm refuses.
  const failing = trainer.step(batch, { step: 1, seed: 1, lr: 0.02, microBatch: 5 })
  await expect(failing).rejects.toMatchObject({
    code: 'E_ARGUMENT',
    message: expect.stringContaining('micro-batch'),
  })
  const after = await save(trainer, 'after failing')
  for (const [index, file] of after.entries()) {
    expect(file.equals(before[index] as Buffer), files[index]).toBe(true)
  }
  expect(await trainer.stats()).toMatchObject({ steps: 0, skipped: 0, n: 0, loss: 0 })
  await trainer.dispose()
})
