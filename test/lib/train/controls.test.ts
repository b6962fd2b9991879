// Runs with every control of the optimizer: the average of the weights is evaluated beside them, kept, and
// best where best.of says so. all-controls.test.ts resumes such a run.

import { execFile } from 'node:child_process'
import { readFileSync, realpathSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import type { RunEvent } from '../../../lib/events.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import { readModelMetadata } from '../../../lib/train/checkpoint.js'
import type { RunResult } from '../../../lib/train/result.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const cli = join(import.meta.dirname, '../../../dist/cli/main.js')
const optim = {
  ...{ lr: 0.01, headLr: 0.02, epochs: 2, batchSize: 8, gradAccumSteps: 2 },
  ...{ name: 'adamw', betas: [0.8, 0.99], eps: 1e-7, weightDecay: 0.1, decayNormAndBias: false },
  ...{ clipGradNorm: 3, freezeBackboneEpochs: 1, ema: { decay: 0.6, warmupSteps: 1 } },
} as const
const config = (name: string, overrides: object = {}) => {
  const { model, ...rest } = toyConfig(folder, {
    name,
    optim: optim as unknown as ConfigInput['optim'],
    best: { of: 'ema' },
  })
  return defineConfig({ ...rest, model: { ...model, freezeBatchNorm: true }, ...overrides })
}

let result: RunResult
const events: RunEvent[] = []

beforeAll(async () => {
  const run = train(config('whole'))
  for await (const event of run) events.push(event)
  result = await run.result
})

test('the backbone trains from the second epoch on', async () => {
  const one = await train(config('one', { optim: { ...optim, epochs: 1 } })).result
  const { tensors: after } = computed(one.runDir)
  const { tensors: end } = computed(result.runDir)
  const name = 'features.0.weight'
  const [first, second] = [after, end].map((all) => all.get('model.safetensors')?.get(name)?.bytes)
  const other = await train(
    config('never', { optim: { ...optim, epochs: 1, freezeBackboneEpochs: 0 } }),
  ).result
  const free = computed(other.runDir).tensors.get('model.safetensors')?.get(name)?.bytes
  const initial = await stoppedIn('step', 1, config('initial'))
  const begun = computed(initial).tensors.get('model.safetensors')?.get(name)?.bytes
  expect(first).toEqual(begun)
  expect(second).not.toEqual(begun)
  expect(free).not.toEqual(begun)
})

test('each evaluation has the figures of the average, and best is its best', async () => {
  const epochs = events.filter((event) => event.type === 'epoch')
  expect(epochs).toHaveLength(2)
  for (const { test: raw, ema } of epochs) {
    expect(ema).toMatchObject({ n: 15 })
    expect(ema?.loss).not.toBe(raw?.loss)
  }
  const best = epochs.toSorted((a, b) => (b.ema?.top1 ?? 0) - (a.ema?.top1 ?? 0))[0]
  expect(result.best).toMatchObject({ epoch: best?.epoch, ...best?.ema })
  expect(result.last).toMatchObject({ epoch: 1, ...epochs[1]?.ema })
})

test('its file is a whole model: evaluate and predict read it by name, and with ema', async () => {
  const last = join(result.runDir, 'last')
  const file = join(last, 'ema.safetensors')
  const figures = await evaluate({ weights: last, ema: true })
  expect(figures.loss).toBeCloseTo(result.last.loss, 5)
  expect(await evaluate({ weights: file })).toEqual(figures)
  expect((await evaluate({ weights: last })).loss).not.toBe(figures.loss)
  const image = [join(folder, 'birds', 'test', 'x.png')]
  expect(await predict(image, { weights: last, ema: true })).toHaveLength(1)
  const own = await readModelMetadata(join(last, 'model.safetensors'))
  expect(await readModelMetadata(file)).toEqual(own)
  expect(own.metrics.ema).toMatchObject({ loss: result.last.loss })
  const manifest = JSON.parse(readFileSync(join(realpathSync(last), 'manifest.json'), 'utf8'))
  expect(Object.keys(manifest)).toContain('ema.safetensors')
})

test('a checkpoint whose average is damaged is refused', async () => {
  const runDir = await stoppedIn('step', 2, config('damaged'))
  truncateSync(join(runDir, 'last', 'ema.safetensors'), 1000)
  await expect(train(config('damaged'), { resume: runDir }).result).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
    message: expect.stringContaining('ema.safetensors'),
  })
})

test('where there is none, ema is refused in words', async () => {
  const { ema, ...plain } = optim
  const { runDir } = await train(config('none', { optim: plain, best: { of: 'raw' } })).result
  await expect(evaluate({ weights: runDir, ema: true })).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringContaining('optim.ema'),
  })
  await expect(
    train(config('none', { optim: { ...optim, epochs: 3 }, best: { of: 'raw' } }), {
      resume: runDir,
    }).result,
  ).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
    message: expect.stringMatching(/optim\.ema undefined then, .*0\.6.* now/),
  })
})

test('a resumed run picks its best on the same weights: another best.of is refused', async () => {
  const more = { optim: { ...optim, epochs: 3 }, best: { of: 'raw' } } as const
  const run = train(config('whole', more), { resume: result.runDir })
  await expect(run.result).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
    message: expect.stringMatching(/best\.of ema then, raw now\. Resume with .* best\.of/),
  })
})

test('the command line evaluates and predicts with the average too', async () => {
  const last = join(result.runDir, 'last')
  const told = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(cli, [
      ...args,
      '--weights',
      last,
      '--ema',
      '--json',
    ])
    return JSON.parse(stdout)
  }
  expect(await told('eval')).toEqual(await evaluate({ weights: last, ema: true }))
  const [image] = (await openDataset(config('whole').data)).test.map(({ path }) => path)
  const [expected] = await predict([image as string], { weights: last, ema: true })
  expect((await told('predict', image as string))[0].top).toEqual(expected?.top)
})
