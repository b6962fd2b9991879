// Whole runs of the toy model: events, results, run folders, abort and resume, refusals.

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import type { RunEvent } from '../../../lib/events.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'

import type { RunResult } from '../../../lib/train/result.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const config = (overrides: Partial<ConfigInput> = {}) => defineConfig(toyConfig(folder, overrides))

let result: RunResult
const events: RunEvent[] = []

beforeAll(async () => {
  const run = train(config())
  for await (const event of run) events.push(event)
  result = await run.result
})

test('events come in order: prepare, start, store, progress, checkpoint, epoch', () => {
  const types = events.map((event) => event.type).filter((type) => type !== 'prepare')
  expect(events[0]).toMatchObject({ type: 'prepare', split: 'train', total: 24 })
  expect(types.slice(0, 3)).toEqual(['start', 'store', 'progress'])
  expect(types.filter((type) => type === 'epoch')).toHaveLength(2)
  expect(types.lastIndexOf('epoch')).toBe(types.length - 1)
  const epoch = events.findLast((event) => event.type === 'epoch')
  expect(epoch).toMatchObject({ epoch: 1, epochs: 2, step: 6 })
  expect(Object.keys(epoch?.train.parts ?? {}).sort()).toEqual(['ce', 'dis', 'div'])
})

test('the whole loss is the weighted sum of its parts (official form, four channels a class)', () => {
  for (const event of events) {
    if (event.type !== 'epoch') continue
    const { ce, dis, div } = event.train.parts as { ce: number; dis: number; div: number }
    expect(event.train.loss).toBeCloseTo(ce + dis + 0.5 * (1 - div / 4), 4)
  }
})

test('the run folder holds what a run leaves', () => {
  for (const name of [
    'config.json',
    'metrics.jsonl',
    'last/model.safetensors',
    'best/state.json',
  ]) {
    expect(existsSync(join(result.runDir, name)), name).toBe(true)
  }
  const lines = readFileSync(join(result.runDir, 'metrics.jsonl'), 'utf8').trim().split('\n')
  expect(
    lines.map((line) => JSON.parse(line).type).filter((type) => type === 'epoch'),
  ).toHaveLength(2)
})

test('evaluate and predict agree with the run on its last weights', async () => {
  const weights = join(result.runDir, 'last')
  const figures = await evaluate({ weights })
  expect(figures).toMatchObject({ n: 15, top1: result.last.top1, top5: 1 })
  expect(figures.loss).toBeCloseTo(result.last.loss, 5)

  const { test: samples, classes } = await openDataset(config().data)
  const predictions = await predict(
    samples.map(({ path }) => path),
    { weights, top: 2 },
  )
  const correct = predictions.filter(({ top }, i) => top[0]?.label === samples[i]?.label).length
  expect(correct / samples.length).toBeCloseTo(figures.top1, 10)
  for (const { top } of predictions) {
    expect(top).toHaveLength(2)
    expect(top[0]?.probability).toBeGreaterThanOrEqual(top[1]?.probability ?? 1)
    expect(classes[top[0]?.label ?? -1]).toBe(top[0]?.class)
  }
})

test('an abort saves within a step; the resumed run goes on at that step and ends as one run', async () => {
  const optim = { lr: 0.05, epochs: 3, batchSize: 8 }
  const whole = await train(config({ optim, name: 'whole' })).result

  const abort = new AbortController()
  const run = train(config({ optim, name: 'parts' }), { signal: abort.signal })
  const iterate = async () => {
    for await (const event of run) {
      if (event.type === 'progress' && event.step >= 4) abort.abort()
    }
  }
  await expect(iterate()).rejects.toMatchObject({ code: 'E_ABORTED' })
  await expect(run.result).rejects.toMatchObject({ code: 'E_ABORTED' })

  const runDir = join(folder, 'runs', 'parts')
  const resumed = train(config({ optim, name: 'parts' }), { resume: runDir })
  const seen: RunEvent[] = []
  for await (const event of resumed) seen.push(event)
  expect(seen[0]).toMatchObject({ type: 'start', runDir })
  const start = seen[0]?.type === 'start' ? seen[0].step : -1
  expect(start).toBeGreaterThanOrEqual(4)
  const { last } = await resumed.result
  expect(last.loss).toBe(whole.last.loss)
})

for (const [method, count, position] of [
  ['step', 1, { epoch: 0, stepInEpoch: 1, step: 1 }],
  ['step', 2, { epoch: 0, stepInEpoch: 2, step: 2 }],
  ['step', 3, { epoch: 0, stepInEpoch: 3, step: 3 }],
  ['evaluate', 2, { epoch: 1, stepInEpoch: 0, step: 3 }],
  ['step', 4, { epoch: 1, stepInEpoch: 1, step: 4 }],
  ['step', 5, { epoch: 1, stepInEpoch: 2, step: 5 }],
  ['step', 6, { epoch: 1, stepInEpoch: 3, step: 6 }],
] as const) {
  const { epoch, stepInEpoch } = position
  test(`resumed at epoch ${epoch}, step ${stepInEpoch}, a run is the whole run to the bit`, async () => {
    const runDir = await stoppedIn(method, count, config({ name: `to-${epoch}-${stepInEpoch}` }))
    const state = JSON.parse(readFileSync(join(runDir, 'last/state.json'), 'utf8'))
    expect(state).toMatchObject(position)
    const { last } = await train(config(), { resume: runDir }).result
    expect(last).toEqual({ ...result.last, checkpoint: last.checkpoint })
    expect(computed(runDir)).toEqual(computed(result.runDir))
  })
}

test('an abort during the evaluation loses none: the resumed run evaluates that epoch first', async () => {
  const name = 'evaluating'
  const optim = { lr: 0.05, epochs: 2, batchSize: 8 }
  const options = config({ optim, name, logEvery: 100 })
  const abort = new AbortController()
  const run = train(options, { signal: abort.signal })
  const iterate = async () => {
    for await (const event of run) if (event.type === 'progress') abort.abort()
  }
  await expect(iterate()).rejects.toMatchObject({ code: 'E_ABORTED' })
  const runDir = join(folder, 'runs', name)
  const state = JSON.parse(readFileSync(join(runDir, 'last', 'state.json'), 'utf8'))
  expect(state).toMatchObject({ epoch: 0, stepInEpoch: 3, step: 3 })

  await train(options, { resume: runDir }).result
  const lines = readFileSync(join(runDir, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const epochs = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'epoch')
  expect(epochs.map(({ epoch, test }) => [epoch, test.n])).toEqual([
    [0, 15],
    [1, 15],
  ])
})

test('only its own run goes on from a checkpoint, and that without the first weights', async () => {
  const name = 'own'
  const weights = join(result.runDir, 'last/model.safetensors')
  const moved = join(folder, 'moved.safetensors')
  cpSync(weights, moved)
  const model = { backbone: 'toy', head: 'linear', channelsPerClass: 4, weights: moved } as const
  const optim = { lr: 0.05, epochs: 1, batchSize: 8 }
  const { runDir } = await train(config({ name, model, optim })).result
  rmSync(moved)
  const resume = (overrides: Partial<ConfigInput>, path = runDir) =>
    train(config({ name, model, ...overrides }), { resume: path }).result

  for (const [overrides, words] of [
    [{ seed: 2 }, /seed 1 then, 2 now/],
    [{ optim: { ...optim, batchSize: 4 } }, /steps an epoch 3 then, 6 now.*optim\.batchSize/],
    [{ optim: { ...optim, batchSize: 12 } }, /steps an epoch 3 then, 2 now/],
  ] as const) {
    await expect(resume(overrides)).rejects.toMatchObject({
      code: 'E_CHECKPOINT',
      message: expect.stringMatching(words),
    })
  }
  const copy = join(folder, 'elsewhere', 'copy')
  cpSync(realpathSync(join(runDir, 'last')), copy, { recursive: true })
  await expect(resume({}, copy)).rejects.toMatchObject({ code: 'E_CHECKPOINT' })
  expect(readdirSync(join(folder, 'elsewhere'))).toEqual(['copy'])

  const { last } = await resume({ optim: { ...optim, epochs: 2 } })
  expect(last.epoch).toBe(1)
})

test('a model is evaluated in batches and on threads of this machine, whatever it was trained in', async () => {
  const optim = { lr: 0.05, epochs: 1, batchSize: 8, gradAccumSteps: 4 }
  const { runDir, last } = await train(config({ name: 'micro', optim, threads: 2 })).result
  const figures = await evaluate({ weights: join(runDir, 'last'), batchSize: 5 })
  expect(figures.loss).toBeCloseTo(last.loss, 5)
})

test('a failed run that nobody looks at fails the process', () => {
  const program = `
    import { defineConfig, train } from '${join(import.meta.dirname, '../../../dist/index.js')}'
    train(defineConfig({
      data: { name: 'image-folder', root: '${join(folder, 'nowhere')}', resize: 64 },
      model: { backbone: 'toy', head: 'linear' },
      loss: { name: 'cross-entropy' },
      optim: { lr: 0.1, epochs: 1, batchSize: 8 },
    }))`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', program])
  expect(child.status).toBe(1)
  expect(`${child.stderr}`).toMatch(/E_DATA/)
})

test('a signal that is aborted before the run begins makes no run folder', async () => {
  const run = train(config({ name: 'never' }), { signal: AbortSignal.abort() })
  await expect(run.result).rejects.toMatchObject({ code: 'E_ABORTED' })
  expect(existsSync(join(folder, 'runs', 'never'))).toBe(false)
})

test('evaluate takes other data of the same classes, with the pixels as the model wants them', async () => {
  const weights = join(result.runDir, 'last')
  const root = join(folder, 'birds')
  const figures = await evaluate({ weights, data: { name: 'image-folder', root } })
  expect(figures.loss).toBeCloseTo(result.last.loss, 5)
})

test('evaluate needs no more than the test split, and no more classes than it has', async () => {
  const weights = join(result.runDir, 'last')
  const root = join(folder, 'test-alone')
  cpSync(join(folder, 'birds', 'test'), join(root, 'test'), { recursive: true })
  const figures = await evaluate({ weights, data: { name: 'image-folder', root } })
  expect(figures).toEqual(await evaluate({ weights }))

  const [first = '', ...others] = readdirSync(join(root, 'test')).sort()
  for (const name of others) rmSync(join(root, 'test', name), { recursive: true })
  const of = await evaluate({ weights, data: { name: 'image-folder', root } })
  const files = readdirSync(join(root, 'test', first)).map((name) =>
    join(root, 'test', first, name),
  )
  const predictions = await predict(files, { weights })
  const right = predictions.filter(({ top }) => top[0]?.label === 0).length
  expect(of).toMatchObject({ n: files.length, top1: right / files.length })
})

test('nobody has to iterate, and an unread run still ends', async () => {
  const { best } = await train(config({ name: 'unread' })).result
  expect(best.checkpoint).toBe(join(folder, 'runs', 'unread', 'best'))
})

const hasGpu = native().deviceCount() > 0
test.skipIf(hasGpu)(
  `cuda is refused before data is drawn${hasGpu ? ' (a GPU is here)' : ''}`,
  async () => {
    const root = join(folder, 'undrawn')
    const data = { ...toyConfig(folder).data, root } as ConfigInput['data']
    const error = await train(config({ device: 'cuda', data })).result.catch((reason) => reason)
    expect(error).toMatchObject({ code: 'E_DEVICE', message: expect.stringMatching(/doctor/) })
    expect(existsSync(root)).toBe(false)
  },
)

test('what cannot be trained is refused before work starts', async () => {
  const refuse = async (overrides: Partial<ConfigInput>, code: string, words: RegExp) => {
    const error = await train(config(overrides)).result.catch((reason) => reason)
    expect(error).toMatchObject({ code, message: expect.stringMatching(words) })
  }
  const model = { backbone: 'toy', head: 'linear' } as const
  await refuse(
    { data: { name: 'image-folder', root: join(folder, 'nowhere'), resize: 64 } },
    'E_DATA',
    /nowhere/,
  )
  await refuse(
    { model, data: { ...toyConfig(folder).data, resize: 4, padding: 0 } as ConfigInput['data'] },
    'E_ARGUMENT',
    /1x1|diversity/,
  )
  await refuse({ optim: { lr: 0.1, epochs: 1, batchSize: 64 } }, 'E_CONFIG', /batchSize/)
  for (const optim of [
    { lr: 0.1, epochs: 1, batchSize: 8, gradAccumSteps: 8 },
    { lr: 0.1, epochs: 1, batchSize: 23, dropLast: false }, // of 24 images one is left
  ]) {
    await refuse({ model: { ...model, head: 'two-layer' }, optim }, 'E_CONFIG', /pass of one/)
  }
  await refuse({ model: { ...model, weights: join(folder, 'none.safetensors') } }, 'E_IO', /none/)
})
