// Runs that pick their best epoch on validation images: what is evaluated when, what comes out, and that
// neither an interruption nor the way to the pixels changes it.

import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type NativeTrainerConfig, native } from '../../../lib/binding.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import type { Dataset } from '../../../lib/data/batch.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import type { RunEvent, StartEvent } from '../../../lib/events.js'
import { evaluate } from '../../../lib/predict/inference.js'
import type { RunResult } from '../../../lib/train/result.js'
import { type TrainOptions, train, trainAndValidate } from '../../../lib/train/train.js'
import { plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const loss = { name: 'cross-entropy' } as const
const optim = { lr: 0.05, epochs: 3, batchSize: 4, schedule: 'constant' } as const
const birds = { ...toyConfig(folder).data, validation: 0.5 } as ConfigInput['data']
const config = (overrides: Partial<ConfigInput> = {}) =>
  defineConfig(toyConfig(folder, { loss, optim, data: birds, ...overrides }))

/** What a run tells, and the labels of the batches that its trainer evaluates. */
async function watched(given: ReturnType<typeof config>, options: TrainOptions = {}, stopAt = -1) {
  const addon = native()
  const { NativeTrainer } = addon
  const abort = new AbortController()
  const evaluated: number[][] = []
  const create = async (settings: NativeTrainerConfig) => {
    const trainer = await NativeTrainer.create(settings)
    const call = trainer.evaluate.bind(trainer)
    const value: typeof call = (batch) => {
      evaluated.push([...(batch.labels ?? [])])
      if (evaluated.length === stopAt) abort.abort()
      return call(batch)
    }
    return Object.defineProperty(trainer, 'evaluate', { value })
  }
  addon.NativeTrainer = { create }
  const events: RunEvent[] = []
  try {
    const run = train(given, { signal: abort.signal, ...options })
    const ended = run.result.catch((error) => error)
    for await (const event of run) events.push(event)
    return { events, evaluated, result: (await ended) as RunResult }
  } catch (error) {
    return { events, evaluated, error }
  } finally {
    addon.NativeTrainer = NativeTrainer
  }
}

const ofType = <T extends RunEvent['type']>(events: RunEvent[], type: T) =>
  events.filter((event) => event.type === type) as Extract<RunEvent, { type: T }>[]

/** What a run computed, to the last bit. */
function computed(runDir: string) {
  const tensors = (file: string) => plainRead(join(runDir, 'last', `${file}.safetensors`)).tensors
  const lines = readFileSync(join(runDir, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const figures = lines
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'epoch' || type === 'test')
    .map(({ type, epoch, validation, test }) => ({ type, epoch, validation, test }))
  return { weights: tensors('model'), optimizer: tensors('optimizer'), figures }
}

/** A result without the names of folders. */
function figuresOf({ best, last, test }: RunResult) {
  const bare = ({ checkpoint: _, ...figures }: RunResult['last']) => figures
  return { best: bare(best), last: bare(last), test: bare(test) }
}

let result: RunResult
let events: RunEvent[]
let evaluated: number[][]

beforeAll(async () => {
  const whole = await watched(config({ name: 'whole' }))
  events = whole.events
  evaluated = whole.evaluated
  result = whole.result as RunResult
})

test('epochs carry figures of the validation images, and the test split is read once, at the end', () => {
  const [start] = ofType(events, 'start') as [StartEvent]
  expect(start).toMatchObject({
    ...{ trainSamples: 12, validationSamples: 12, testSamples: 15 },
    ...{ stepsPerEpoch: 3, bestPickedOn: 'validation' },
  })
  const epochs = ofType(events, 'epoch')
  expect(epochs).toHaveLength(3)
  for (const epoch of epochs) {
    expect(epoch).not.toHaveProperty('test')
    expect(epoch.validation).toMatchObject({ n: 12, classes: 3 })
  }
  // Of twelve images in every epoch, then of fifteen: no batch of the test split comes before.
  expect(evaluated.map((labels) => labels.length)).toEqual([...Array(9).fill(4), 4, 4, 4, 3])
  expect(evaluated.slice(9).flat()).toEqual([0, 1, 2].flatMap((label) => Array(5).fill(label)))
  expect(ofType(events, 'test')).toHaveLength(1)
  expect(events.at(-1)).toMatchObject({ type: 'test', epoch: result.best.epoch, test: { n: 15 } })
})

test('the figures of the test split are those of the best checkpoint', async () => {
  const { test, best, last } = result
  expect(test).toMatchObject({ epoch: best.epoch, checkpoint: best.checkpoint })
  expect(test.bestPickedOn).toBe('validation')
  expect(best.n).toBe(12)
  expect(last).toMatchObject({ n: 12, epoch: 2 })
  const { loss, top1, top5, meanPerClass, classes, n } = test
  const figures = await evaluate({ weights: join(result.runDir, 'best') })
  expect({ loss, top1, top5, meanPerClass, classes, n }).toEqual(figures)
  const state = JSON.parse(readFileSync(join(result.runDir, 'last/state.json'), 'utf8'))
  expect(state.metrics).not.toHaveProperty('test')
})

test('the test split is read with the weights of best, not with those of last', async () => {
  // Of three classes every top-5 is right, and of equal epochs the first is best.
  const best = { metric: 'top5' } as const
  const { runDir, ...run } = await train(config({ name: 'first-is-best', best })).result
  expect([run.best.epoch, run.last.epoch, run.test.epoch]).toEqual([0, 2, 0])
  const lossOf = async (link: string) => (await evaluate({ weights: join(runDir, link) })).loss
  expect(run.test.loss).toBe(await lossOf('best'))
  expect(run.test.loss).not.toBe(await lossOf('last'))
})

test('without validation images the records say that best was picked on the test split', async () => {
  const data = { ...birds, validation: undefined } as ConfigInput['data']
  const { events, evaluated, result } = await watched(config({ name: 'none', data }))
  expect(ofType(events, 'start')[0]).toMatchObject({
    ...{ trainSamples: 24, validationSamples: 0, bestPickedOn: 'test' },
  })
  expect(ofType(events, 'test')).toEqual([])
  expect(evaluated.map((labels) => labels.length)).toEqual([4, 4, 4, 3, 4, 4, 4, 3, 4, 4, 4, 3])
  expect(result?.test).toEqual({ ...result?.best, bestPickedOn: 'test' })
})

/** The birds, with the labels of the test split wrong: the more is learnt, the worse it gets. */
async function wrongTest(): Promise<Dataset> {
  const dataset = await openDataset(config().data)
  const test = dataset.test.map((sample) => ({ ...sample, label: (sample.label + 1) % 3 }))
  return { ...dataset, test }
}

test('best is picked on the validation images where the test split would pick another', async () => {
  const dataset = await wrongTest()
  const data = { dataset, resize: 64, padding: 4, validation: 0.5 } as const
  const best = { metric: 'loss' } as const
  const run = (epochs: number, name: string) =>
    watched(config({ name, data, best, optim: { ...optim, epochs } }))
  const { events, result } = await run(3, 'disagree')
  // Runs of fewer epochs pass through the same weights; their last ones tell of the test split.
  const onTest = []
  for (const epochs of [1, 2, 3]) {
    const weights = join((await run(epochs, `of-${epochs}`)).result?.runDir ?? '', 'last')
    onTest.push((await evaluate({ weights, data: { dataset } as ConfigInput['data'] })).loss)
  }
  const onValidation = ofType(events, 'epoch').map((epoch) => epoch.validation?.loss as number)
  const smallest = (losses: number[]) => losses.indexOf(Math.min(...losses))
  expect(smallest(onTest)).not.toBe(smallest(onValidation))
  expect(result?.best.epoch).toBe(smallest(onValidation))
  expect(result?.test.loss).toBeCloseTo(onTest[smallest(onValidation)] as number, 5)
})

test.each([
  ['in an evaluation of validation images', 5, { epoch: 1, stepInEpoch: 3, step: 6 }],
  ['in the first batch of the test split', 10, { epoch: 3, stepInEpoch: 0, step: 9 }],
  ['before the last batch of the test split', 12, { epoch: 3, stepInEpoch: 0, step: 9 }],
])('stopped %s, a resumed run gives the result of the whole run', async (_, stopAt, position) => {
  const name = `stopped-${stopAt}`
  const { error } = await watched(config({ name }), {}, stopAt)
  const isTest = stopAt > 9
  expect(error).toMatchObject({
    code: 'E_ABORTED',
    message: expect.stringMatching(isTest ? /the test split; every epoch is saved in/ : /saved/),
  })
  const runDir = join(folder, 'runs', name)
  const state = JSON.parse(readFileSync(join(runDir, 'last/state.json'), 'utf8'))
  expect(state).toMatchObject(position)
  const resumed = await watched(config({ name }), { resume: runDir })
  expect(figuresOf(resumed.result as RunResult)).toEqual(figuresOf(result))
  expect(resumed.result?.last.checkpoint).toBe(realpathSync(join(runDir, 'last')))
  if (isTest) expect(resumed.evaluated.map((labels) => labels.length)).toEqual([4, 4, 4, 3])
  const { weights, optimizer, figures } = computed(runDir)
  const whole = computed(result.runDir)
  expect({ weights, optimizer }).toEqual({ weights: whole.weights, optimizer: whole.optimizer })
  expect(figures.at(-1)).toEqual(whole.figures.at(-1))
})

test('stopped at any step, it goes on with the same images to the same bits', async () => {
  for (let step = 1; step < 9; step++) {
    const name = `step-${step}`
    const abort = new AbortController()
    const run = train(config({ name }), { signal: abort.signal })
    const stopped = run.result.catch((error) => error)
    const iterate = async () => {
      for await (const event of run) {
        if (event.type === 'progress' && event.step >= step) abort.abort()
      }
    }
    await iterate().catch(() => {})
    const runDir = join(folder, 'runs', name)
    // A run may be over before the abort reaches it; its result is then the whole one already.
    const ended = await stopped
    const resumed = ended.runDir ? ended : await train(config({ name }), { resume: runDir }).result
    expect(figuresOf(resumed)).toEqual(figuresOf(result))
    expect(computed(runDir)).toEqual(computed(result.runDir))
  }
})

test.each([
  ['one decoder', { decoders: 1 }],
  ['four decoders', { decoders: 4 }],
  ['no store, one decoder', { decoders: 1, store: 'off' }],
  ['no store, four decoders', { decoders: 4, store: 'off' }],
])('the run is the same with %s', async (name, change) => {
  const data = { ...birds, ...change } as ConfigInput['data']
  const run = await train(config({ name: name.replaceAll(/\W/g, '-'), data })).result
  expect(figuresOf(run)).toEqual(figuresOf(result))
  expect(computed(run.runDir)).toEqual(computed(result.runDir))
})

test('a run that is judged by validation images alone opens no test image', async () => {
  const dataset = await openDataset(config().data)
  const missing = dataset.test.map((sample) => ({ ...sample, path: join(folder, 'not-there.jpg') }))
  const data = { dataset: { ...dataset, test: missing }, resize: 64, padding: 4, validation: 0.5 }
  const given = config({ name: 'judged', data })
  const run = trainAndValidate(given)
  const seen: RunEvent[] = []
  for await (const event of run) seen.push(event)
  const { best, last, ...rest } = await run.result
  expect(ofType(seen, 'epoch').map((epoch) => epoch.validation)).toEqual(
    ofType(events, 'epoch').map((epoch) => epoch.validation),
  )
  expect(last).toMatchObject({ n: 12, loss: result.last.loss, top1: result.last.top1 })
  expect(best).toMatchObject({ epoch: result.best.epoch, loss: result.best.loss })
  expect(rest).toEqual({ runDir: join(folder, 'runs', 'judged') })
  expect(ofType(seen, 'start')[0]).toMatchObject({ testSamples: 0, bestPickedOn: 'validation' })
  expect([...ofType(seen, 'test'), ...ofType(seen, 'warning')]).toEqual([])
  expect(existsSync(join(rest.runDir, 'report'))).toBe(false)
  await expect(train(config({ name: 'tested', data })).result).rejects.toMatchObject({
    code: 'E_IMAGE', // the same data with its test split
  })
})

test('a resumed run keeps its images: another fraction, or none, is refused', async () => {
  for (const [validation, words] of [
    [0.45, /data\.validation 0\.5 then, 0\.45 now\. Resume/], // four of eight, too
    [undefined, /data\.validation 0\.5 then, none now; training images 12 then, 24 now/],
  ] as const) {
    const data = { ...birds, validation } as ConfigInput['data']
    const more = { ...optim, epochs: 4 }
    const run = train(config({ name: 'whole', data, optim: more }), { resume: result.runDir })
    await expect(run.result).rejects.toMatchObject({
      code: 'E_CHECKPOINT',
      message: expect.stringMatching(words),
    })
  }
})

test('a class with one training image is refused before work starts', async () => {
  const dataset = await openDataset(config().data)
  const first = dataset.train.findIndex(({ label }) => label === 1)
  const train1 = dataset.train.filter(({ label }, at) => label !== 1 || at === first)
  const data = { dataset: { ...dataset, train: train1 }, resize: 64, validation: 0.5 }
  await expect(train(config({ name: 'alone', data })).result).rejects.toMatchObject({
    code: 'E_DATA',
    message: expect.stringContaining(`'${dataset.classes[1]}'`),
  })
  expect(existsSync(join(folder, 'runs', 'alone'))).toBe(false)
})
