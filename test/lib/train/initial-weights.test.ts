// The weights that a run begins with, in its events and records: a file, a run, a fetched name.

import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { ConfigInput } from '../../../lib/config/index.js'
import type { RunEvent, WeightsEvent } from '../../../lib/events.js'
import { type RunResult, train } from '../../../lib/index.js'
import { evaluate } from '../../../lib/predict/inference.js'
import { type WeightRecord, weightRecords } from '../../../lib/weights/records.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const name = 'resnet18.a1_in1k' // its hash is not published: any file is it
const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }
let first: RunResult
let file: string

type Model = ConfigInput['model']
const toy = toyConfig(folder).model
const config = (model: Partial<Model>, data: Partial<ConfigInput['data']> = {}) =>
  toyConfig(folder, {
    model: { ...toy, ...model },
    data: { ...toyConfig(folder).data, ...data },
    optim: { lr: 0.01, epochs: 1, batchSize: 8 },
  })

async function eventsOf(run: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of run) events.push(event)
  return events
}

async function trained(input: ConfigInput) {
  const run = train(input)
  const events = await eventsOf(run)
  const { runDir } = await run.result
  const json = (at: string) => JSON.parse(readFileSync(join(runDir, at), 'utf8'))
  const weights = events.find(({ type }) => type === 'weights') as WeightsEvent | undefined
  return { runDir, events, weights, json, start: events.find(({ type }) => type === 'start') }
}

beforeAll(async () => {
  first = await train(config({})).result
  file = join(folder, 'weights.safetensors')
  copyFileSync(join(first.runDir, 'last/model.safetensors'), file)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

test('a file: told once, kept with its SHA-256, also after a resume without the file', async () => {
  const { runDir, events, weights, json } = await trained(config({ weights: file }))
  const bytes = readFileSync(file)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const origin = { path: file, name: null, bytes: bytes.length, sha256, part: 'backbone' }
  expect(weights).toMatchObject({ ...origin, format: 'safetensors', wrapper: null, changes: [] })
  expect(weights?.taken).toContain('features.0.weight')
  expect(weights?.leftOut.sort()).toEqual(['head.fc.bias', 'head.fc.weight'])
  expect(weights?.initialised.sort()).toEqual(['head.fc.bias', 'head.fc.weight'])
  expect(events.filter(({ type }) => type === 'weights')).toHaveLength(1)
  expect(readFileSync(join(runDir, 'metrics.jsonl'), 'utf8')).toContain(sha256)
  expect(json('last/state.json').weights).toEqual(origin)

  renameSync(file, `${file}.away`)
  const longer = { ...config({ weights: file }), optim: { lr: 0.01, epochs: 2, batchSize: 8 } }
  const resumed = train(longer, { resume: runDir })
  expect((await eventsOf(resumed)).map(({ type }) => type)).not.toContain('weights')
  await resumed.result
  renameSync(`${file}.away`, file)
  expect(json('last/state.json').weights).toEqual(origin)
})

test('a whole model, given as its run folder or checkpoint', async () => {
  const model = { weightsPart: 'all' } as const
  for (const weights of [first.runDir, join(first.runDir, 'last')]) {
    const { weights: event } = await trained(config({ ...model, weights }))
    expect(event).toMatchObject({ part: 'all', leftOut: [], initialised: [] })
    expect(event?.path).toMatch(/model\.safetensors$/)
    expect(event?.taken).toContain('head.fc.weight')
  }
})

test('a widened model: refused, unless allowPartial leaves out what does not fit', async () => {
  const wider = { weights: file, channelsPerClass: 6 }
  await expect(train(config(wider)).result).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(/mis-shaped.*features\.8\.weight.*allowPartial/s),
  })
  const { weights } = await trained(config({ ...wider, allowPartial: true }))
  expect(weights?.taken).toContain('features.0.weight')
  expect(weights?.leftOut).toContain('features.8.weight')
  expect(weights?.initialised).toContain('features.8.weight')
})

test('a name: the fetched file, with its own mean and std', async () => {
  const cache = join(folder, 'cache')
  vi.stubEnv('MCLOSS_WEIGHTS_DIR', cache)
  await expect(train(config({ weights: name })).result).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringContaining(`mcloss weights fetch ${name}`),
  })
  mkdirSync(cache)
  copyFileSync(file, join(cache, `${name}.safetensors`))
  const { runDir, weights, start, json, events } = await trained(config({ weights: name }))
  expect(weights).toMatchObject({ name, path: join(cache, `${name}.safetensors`) })
  expect(start).toMatchObject({ ...imagenet, normalisation: `the record of ${name}` })
  expect(json('config.json')).toMatchObject({ model: { weights: name }, data: imagenet })
  expect(json('last/state.json').config.data).toMatchObject(imagenet)
  expect(events.map(({ type }) => type)).not.toContain('warning')

  // What the weights were trained with is the run's own from now on.
  const input = { ...config({ weights: name }), optim: { lr: 0.01, epochs: 2, batchSize: 8 } }
  const resumed = await eventsOf(train(input, { resume: runDir }))
  expect(resumed.find(({ type }) => type === 'start')).toMatchObject(imagenet)
  expect(await evaluate({ weights: runDir })).toMatchObject({ n: 15 })

  const other = await trained(config({ weights: name }, half as Partial<ConfigInput['data']>))
  expect(other.start).toMatchObject({ ...half, normalisation: 'the configuration' })
  expect(other.events.find(({ type }) => type === 'warning')).toMatchObject({
    message: expect.stringMatching(/data\.mean is 0\.5.*data\.std is 0\.5.*resnet18\.a1_in1k/),
  })
})

test('a published file is recognised by size and SHA-256', async () => {
  const bytes = readFileSync(file)
  const record: WeightRecord = {
    ...(weightRecords[0] as WeightRecord),
    name: 'toy.test',
    mebibytes: bytes.length / 2 ** 20,
    sha256: createHash('sha256').update(bytes).digest('hex').slice(0, 8),
  }
  const records = weightRecords as WeightRecord[]
  records.push(record)
  const known = await trained(config({ weights: file }))
  record.mebibytes = 100
  const unknown = await trained(config({ weights: file }))
  records.pop()
  expect(known.weights).toMatchObject({ name: 'toy.test' })
  expect(known.start).toMatchObject(imagenet)
  expect(unknown.weights).toMatchObject({ name: null })
  expect(unknown.start).toMatchObject({ ...half, normalisation: expect.stringMatching(/default/) })
})

test('a run without mean and std in its configuration goes on with 0.5', async () => {
  const { runDir, start } = await trained(config({}))
  expect(start).toMatchObject(half)
  const input = { ...config({ weights: file }), optim: { lr: 0.01, epochs: 2, batchSize: 8 } }
  const resumed = await eventsOf(train(input, { resume: runDir }))
  expect(resumed.find(({ type }) => type === 'start')).toMatchObject(half)
  rmSync(runDir, { recursive: true })
})

test("a checkpoint's weights are looked for under model.weightsKey", async () => {
  const weights = join(import.meta.dirname, '../../fixtures/pth/checkpoint.zip.pth')
  const run = train(config({ weights, weightsKey: 'ema' }))
  await expect(run.result).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringMatching(/checkpoint\.zip\.pth .*ema/),
  })
})
