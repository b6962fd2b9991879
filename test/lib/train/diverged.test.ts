// Runs that diverge: what they say, what they keep, and that nothing takes their figures for results.

import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { bench } from '../../../lib/bench/index.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import type { RunEvent } from '../../../lib/events.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const config = (overrides: Partial<ConfigInput> = {}) => defineConfig(toyConfig(folder, overrides))
const tooFast = { lr: 1e18, epochs: 5, batchSize: 8 }
const runDir = join(folder, 'runs', 'sound')

beforeAll(async () => {
  await train(config({ name: 'sound', optim: { lr: 0.05, epochs: 1, batchSize: 8 } })).result
})

async function failing(overrides: Partial<ConfigInput>, resume?: string) {
  const run = train(config(overrides), resume === undefined ? {} : { resume })
  const events: RunEvent[] = []
  try {
    for await (const event of run) events.push(event)
  } catch (error) {
    return { events, error: error as Error }
  }
  throw new Error('did not fail')
}

test('a rate that is far too high: told at the first skipped step, ended after a row of them', async () => {
  const { events, error } = await failing({ name: 'fast', optim: tooFast, logEvery: 4 })
  expect(error).toMatchObject({ code: 'E_NUMERICS', message: expect.stringMatching(/optim\.lr/) })
  const [told] = events.filter((event) => event.type === 'warning')
  expect(told?.files).toHaveLength(8)
  const { classes, train: samples } = await openDataset(config().data)
  expect(samples.map(({ path }) => path)).toEqual(expect.arrayContaining(told?.files ?? []))
  expect(classes).toHaveLength(3)
  const epochs = events.filter((event) => event.type === 'epoch')
  expect(epochs.length).toBeLessThan(tooFast.epochs)
  const left = join(folder, 'runs', 'fast')
  expect(existsSync(join(left, 'best'))).toBe(false)
  const lines = readFileSync(join(left, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const warnings = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'warning')
  expect(warnings[0].message).toBe(told?.message)
})

test('the last good checkpoint stays, last and best, and is named', async () => {
  const good = realpathSync(join(runDir, 'last'))
  const { error } = await failing({ name: 'sound', optim: tooFast }, runDir)
  expect(error).toMatchObject({ code: 'E_NUMERICS', message: expect.stringContaining(good) })
  expect(realpathSync(join(runDir, 'last'))).toBe(good)
  expect(realpathSync(join(runDir, 'best'))).toBe(good)
  expect(readdirSync(join(runDir, 'checkpoints'))).toHaveLength(1)
  await expect(evaluate({ weights: runDir })).resolves.toMatchObject({ n: 15 })
})

test('a last epoch whose figures are not finite is no result', async () => {
  const optim = { ...tooFast, epochs: 1 }
  const { events, error } = await failing({ name: 'short', optim, logEvery: 100 })
  expect(error).toMatchObject({ code: 'E_NUMERICS', message: expect.stringMatching(/last epoch/) })
  expect(events.at(-1)).toMatchObject({ type: 'epoch', test: { loss: Number.NaN } })
  expect(events.some((event) => event.type === 'checkpoint')).toBe(false)
})

test('a model with a value that is not a number is refused by name, not evaluated', async () => {
  const weights = join(folder, 'poisoned.safetensors')
  copyFileSync(join(runDir, 'best', 'model.safetensors'), weights)
  const bytes = readFileSync(weights)
  for (let at = bytes.length - 64; at < bytes.length; at += 4) bytes.writeFloatLE(Number.NaN, at)
  writeFileSync(weights, bytes)
  const refusal = { code: 'E_NUMERICS', message: expect.stringContaining(weights) }
  await expect(evaluate({ weights })).rejects.toMatchObject(refusal)
  const { test: samples } = await openDataset(config().data)
  await expect(predict([samples[0]?.path ?? ''], { weights })).rejects.toMatchObject(refusal)
})

test('a bench of steps that are skipped has no speed', async () => {
  const overflow = { mean: [1e36, 1e36, 1e36], std: [1e-6, 1e-6, 1e-6] }
  const data = { ...toyConfig(folder).data, ...overflow } as ConfigInput['data']
  const measuring = bench(config({ data }), { rounds: 1, steps: 1, alternatives: false })
  await expect(measuring).rejects.toMatchObject({
    code: 'E_NUMERICS',
    message: expect.stringMatching(/2 of 2|1 of 1/),
  })
})
