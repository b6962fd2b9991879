// What a step leaves alone: a frozen backbone, frozen batch norms, and with a skipped step the average of
// the weights; and the average itself in evaluations and files. The values are held against PyTorch's by
// step.test.ts and optimizer_cases.cpp.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type NativeTrainer, type NativeTrainerConfig, native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { stateOf, writeWeights } from '../../support/formula-weights.js'
import { numbersOf, plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

type Optim = NativeTrainerConfig['optim']

const folder = temporaryFolder()
const batch = wholeBatch(16, 32, 5)
const { optim, model } = toyTrainer()
const sgd: Optim = { ...optim, name: 'sgd' }
const adamw: Optim = { ...optim, name: 'adamw', betas: [0.9, 0.99], eps: 1e-8 }
let saved = 0
afterAll(() => rmSync(folder, { recursive: true }))

const create = (overrides: Partial<NativeTrainerConfig>) =>
  native().NativeTrainer.create(toyTrainer({ loss: mcLossConfig, ...overrides }))

async function save(trainer: NativeTrainer) {
  const path = join(folder, `${saved++}`)
  mkdirSync(path)
  await trainer.save(path, {})
  return path
}

/** Every tensor of the files as text, under FILE NAME. */
async function stateIn(trainer: NativeTrainer, ...files: string[]): Promise<Map<string, string>> {
  const path = await save(trainer)
  const entries = files.flatMap((file) =>
    [...plainRead(join(path, `${file}.safetensors`)).tensors].map(
      ([name, { bytes }]) => [`${file} ${name}`, bytes.toString('base64')] as const,
    ),
  )
  return new Map(entries)
}

function changed(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...after.keys()].filter((name) => before.get(name) !== after.get(name))
}

describe.each([
  ['sgd', sgd],
  ['adamw', adamw],
] as const)('a frozen backbone, %s', (_, optimizer) => {
  test.each([16, 6])('micro-batches of %i', async (microBatch) => {
    const trainer = await create({ optim: { ...optimizer, clipGradNorm: 2 } })
    let step = 0
    const steps = async (freezeBackbone: boolean) => {
      const before = await stateIn(trainer, 'model', 'optimizer')
      for (let n = 0; n < 5; n++) {
        await trainer.step(batch, { step: step++, seed: 1, lr: 0.01, microBatch, freezeBackbone })
      }
      expect(await trainer.stats()).toMatchObject({ steps: 5, skipped: 0 })
      return changed(before, await stateIn(trainer, 'model', 'optimizer'))
    }
    const isHead = (name: string) => /^\w+ (head\.|updates\.head)/.test(name)
    const all = await steps(false)
    const frozen = await steps(true)
    expect(frozen).toEqual(all.filter(isHead))
    expect(frozen).toContain('model head.norm1.running_mean')
    expect(await steps(false)).toEqual(all)
    expect(all).toContain('model features.1.running_mean')
    await trainer.dispose()
  })
})

test('frozen batch norm: the backbone keeps its running statistics, the rest trains', async () => {
  const trainer = await create({ model: { ...model, freezeBatchNorm: true } })
  const before = await stateIn(trainer, 'model')
  await trainer.step(batch, { step: 0, seed: 1, lr: 0.01 })
  const names = changed(before, await stateIn(trainer, 'model'))
  const ofBackbone = names.filter((name) => name.includes(' features.'))
  expect(ofBackbone.filter((name) => /running|tracked/.test(name))).toEqual([])
  expect(ofBackbone).toContain('model features.1.weight')
  expect(names).toContain('model head.norm1.running_var')
  await trainer.dispose()
})

test('the norm that is told is that before clipping, and the step is the clipped one', async () => {
  const plain = { ...sgd, momentum: 0, weightDecay: 0 }
  const of = async (change: object) => {
    const trainer = await create({ optim: { ...plain, ...change } })
    const numbers = async () => {
      const { tensors } = plainRead(join(await save(trainer), 'model.safetensors'))
      const isWeight = (name: string) => /(weight|bias)$/.test(name)
      return [...tensors].flatMap(([name, tensor]) => (isWeight(name) ? numbersOf(tensor) : []))
    }
    const before = await numbers()
    await trainer.step(batch, { step: 0, seed: 1, lr: 1 })
    const after = await numbers()
    const { gradNorm } = await trainer.stats()
    await trainer.dispose()
    return { gradNorm, moved: Math.hypot(...after.map((value, i) => value - (before[i] ?? NaN))) }
  }
  const free = await of({})
  expect(free.moved).toBeCloseTo(free.gradNorm, 3)
  const clipped = await of({ clipGradNorm: 0.5 })
  expect(clipped.gradNorm).toBe(free.gradNorm)
  expect(clipped.moved).toBeCloseTo(0.5, 3)
  const wide = await of({ clipGradNorm: 2 * free.gradNorm })
  expect(wide.moved).toBe(free.moved)
})

describe('the average of the weights', () => {
  const averaged = { optim: { ...adamw, ema: { decay: 0.9, warmupSteps: 1 } } }
  const step = (trainer: NativeTrainer, number: number) =>
    trainer.step(batch, { step: number, seed: 1, lr: 0.01 })

  test('evaluated and predicted as its file is; the weights are as without it', async () => {
    const [trainer, without] = [await create(averaged), await create({ optim: adamw })]
    for (let n = 0; n < 5; n++) await Promise.all([step(trainer, n), step(without, n)])
    const logits = {
      raw: await trainer.predict(batch),
      ema: await trainer.predict(batch, { weights: 'ema' }),
    }
    expect(logits.raw).toEqual(await without.predict(batch))
    expect(logits.ema).not.toEqual(logits.raw)
    const figures = await trainer.evaluate(batch, { weights: 'ema' })
    const path = await save(trainer)
    const options = { backboneOnly: false }
    await without.loadWeights(join(path, 'ema.safetensors'), options)
    expect(await without.predict(batch)).toEqual(logits.ema)
    expect(await without.evaluate(batch)).toEqual(figures)
    await without.loadWeights(join(path, 'model.safetensors'), options)
    expect(await without.predict(batch)).toEqual(logits.raw)
    expect(await trainer.predict(batch)).toEqual(logits.raw)
    await Promise.all([trainer.dispose(), without.dispose()])
  })

  test('it begins as a copy after the first step and warmupSteps more', async () => {
    const trainer = await create(averaged)
    const differs = async () => {
      const path = await save(trainer)
      const [raw, ema] = ['model', 'ema'].map((name) => {
        const { tensors } = plainRead(join(path, `${name}.safetensors`))
        return new Map([...tensors].map(([key, { bytes }]) => [key, bytes.toString('base64')]))
      }) as [Map<string, string>, Map<string, string>]
      expect([...ema.keys()].sort()).toEqual([...raw.keys()].sort())
      return changed(raw, ema)
    }
    expect(await differs()).toEqual([]) // before any step
    for (const expected of [false, false, true]) {
      await step(trainer, saved)
      expect((await differs()).length > 0).toBe(expected)
    }
    // Averaged with the weights; counters are copied.
    expect(await differs()).toContain('features.1.running_mean')
    expect(await differs()).not.toContain('features.1.num_batches_tracked')
    await trainer.dispose()
  })

  test('a skipped step moves neither it nor the moments nor their count', async () => {
    const trainer = await create(averaged)
    await step(trainer, 0)
    await step(trainer, 1)
    const healthy = join(await save(trainer), 'model.safetensors')
    const poisoned = join(folder, 'poisoned.safetensors')
    writeWeights(poisoned, await stateOf(trainer, folder), (name, values) => {
      if (name === 'features.0.weight') values[0] = Number.NaN
    })
    const files = ['ema', 'optimizer']
    const before = await stateIn(trainer, ...files)
    expect(before.has('optimizer updates.backbone')).toBe(true)
    await trainer.stats()
    const options = { backboneOnly: false, anyValues: true }
    await trainer.loadWeights(poisoned, options)
    await step(trainer, 2)
    expect(await trainer.stats()).toMatchObject({ steps: 1, skipped: 1 })
    expect(changed(before, await stateIn(trainer, ...files))).toEqual([])
    await trainer.loadWeights(healthy, options)
    await step(trainer, 3)
    const after = changed(before, await stateIn(trainer, ...files))
    expect(after).toContain('ema features.0.weight')
    expect(after).toContain('optimizer updates.head')
    await trainer.dispose()
  })

  test('a trainer without it refuses to evaluate it, and a checkpoint of one with it', async () => {
    const [trainer, without] = [await create(averaged), await create({ optim: adamw })]
    for (const call of ['evaluate', 'predict'] as const) {
      await expect(without[call](batch, { weights: 'ema' })).rejects.toMatchObject({
        code: 'E_CONFIG',
        message: expect.stringContaining('optim.ema'),
      })
    }
    const other = await create({})
    for (const [reader, writer] of [
      [without, trainer],
      [trainer, without],
      [other, without],
    ] as const) {
      await expect(reader.load(await save(writer))).rejects.toMatchObject({
        code: 'E_CHECKPOINT',
        message: expect.stringContaining('optim.ema'),
      })
    }
    const incomplete = await save(trainer)
    rmSync(join(incomplete, 'ema.safetensors'))
    await expect(trainer.load(incomplete)).rejects.toMatchObject({
      code: 'E_CHECKPOINT',
      message: expect.stringContaining('expected an ema.safetensors'),
    })
    await Promise.all([trainer.dispose(), without.dispose(), other.dispose()])
  })
})

test.each([
  ['sgd', sgd],
  ['adamw', adamw],
] as const)(
  '%s: what is saved before any step is what a step begins with',
  async (_, optimizer) => {
    const config = { optim: { ...optimizer, ema: { decay: 0.5, warmupSteps: 0 } } }
    const [fresh, loaded] = [await create(config), await create({ ...config, initSeed: 2 })]
    await loaded.load(await save(await create(config)))
    for (const trainer of [fresh, loaded]) {
      for (let step = 0; step < 3; step++) await trainer.step(batch, { step, seed: 1, lr: 0.01 })
    }
    const files = ['model', 'optimizer', 'ema']
    expect(await stateIn(loaded, ...files)).toEqual(await stateIn(fresh, ...files))
    await Promise.all([fresh.dispose(), loaded.dispose()])
  },
)
