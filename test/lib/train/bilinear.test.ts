// Runs with the bilinear head: in two steps as B-CNN is trained, with MC-Loss on the map before the
// reduction, resumed, and read again by name alone.

import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import type { RunEvent, WeightsEvent } from '../../../lib/events.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import type { RunResult } from '../../../lib/train/result.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const toy = toyConfig(folder).model
const bilinear = { ...toy, head: 'bilinear', reduction: 6 } as const
const frozen = { lr: 0.5, epochs: 2, batchSize: 8, freezeBackboneEpochs: 2 }
const config = (name: string, overrides: Partial<ConfigInput> = {}) =>
  defineConfig(toyConfig(folder, { name, model: bilinear, optim: frozen, ...overrides }))

async function eventsOf(run: ReturnType<typeof train>) {
  const events: RunEvent[] = []
  for await (const event of run) events.push(event)
  return { events, result: await run.result }
}

/** The bytes of a tensor in the last checkpoint. */
const bytesIn = (runDir: string, name: string) =>
  computed(runDir).tensors.get('model.safetensors')?.get(name)?.bytes

let first: RunResult
beforeAll(async () => {
  first = await train(config('first')).result
})

test.each([1, 4])('the first step, resumed after step %i', async (step) => {
  const name = `to-${step}`
  const runDir = await stoppedIn('step', step, config(name))
  await train(config(name), { resume: runDir }).result
  expect(computed(runDir)).toEqual(computed(first.runDir))
})

test('the first step trains the head and its reduction, and leaves the backbone', async () => {
  const begun = await stoppedIn('step', 1, config('begun', { optim: { ...frozen, lr: 1e-30 } }))
  for (const name of ['features.0.weight', 'features.1.running_mean', 'features.8.weight']) {
    expect(bytesIn(first.runDir, name)).toEqual(bytesIn(begun, name))
  }
  for (const name of ['fc.weight', 'fc.bias', 'reduction.weight', 'norm.running_var']) {
    expect(bytesIn(first.runDir, `head.${name}`)).not.toEqual(bytesIn(begun, `head.${name}`))
  }
})

test('the second step begins with all of the first and trains everything', async () => {
  const optim = { lr: 0.01, epochs: 1, batchSize: 8 }
  const model = { ...bilinear, weights: first.runDir, weightsPart: 'all' } as const
  const { events, result } = await eventsOf(train(config('second', { model, optim })))
  const weights = events.find(({ type }) => type === 'weights') as WeightsEvent
  expect(weights).toMatchObject({ part: 'all', leftOut: [], initialised: [] })
  expect(weights.taken).toEqual(
    expect.arrayContaining(['head.fc.weight', 'head.reduction.weight', 'head.norm.running_mean']),
  )
  for (const name of ['features.0.weight', 'head.fc.weight']) {
    expect(bytesIn(result.runDir, name)).not.toEqual(bytesIn(first.runDir, name))
  }
})

test.each(['sum', 'isqrt'] as const)(
  '%s: a run is read without naming its head',
  async (pooling) => {
    const model = { ...bilinear, pooling }
    const { runDir, last } = await train(config(`read-${pooling}`, { model })).result
    expect((await evaluate({ weights: runDir })).loss).toBeCloseTo(last.loss, 5)
    const image = [join(folder, 'birds', 'test', 'x.png')]
    expect(await predict(image, { weights: runDir })).toHaveLength(1)
  },
)

/** A first step has the weights of the seed, and the backbone draws before the head. */
test('MC-Loss reads the map before the reduction', async () => {
  const optim = { lr: 1e-30, epochs: 1, batchSize: 24 }
  const partsOf = async (name: string, model: ConfigInput['model']) => {
    const { events } = await eventsOf(train(config(name, { model, optim })))
    const epoch = events.find(({ type }) => type === 'epoch')
    return (epoch as Extract<RunEvent, { type: 'epoch' }>).train.parts
  }
  const linear = await partsOf('mc-linear', toy)
  const ours = await partsOf('mc-bilinear', bilinear)
  expect(linear.dis).toBeGreaterThan(0)
  expect([ours.dis, ours.div]).toEqual([linear.dis, linear.div])
  expect(ours.ce).not.toBe(linear.ce)
})
