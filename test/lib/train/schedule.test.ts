// The learning rate of every step against hand-worked values and against twins that keep a state.

import { expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { makeSchedule } from '../../../lib/train/schedule.js'

const STEPS = 3

function scheduleOf(optim: Partial<ConfigInput['optim']>) {
  const config = defineConfig({
    data: { name: 'cub200', root: 'data' },
    model: { backbone: 'resnet18' },
    loss: { name: 'cross-entropy' },
    optim: { lr: 0.4, epochs: 8, batchSize: 2, ...optim },
  })
  return makeSchedule(config, STEPS)
}

/** The rate of each epoch's first step. */
const byEpoch = (lrAt: (step: number) => number, epochs: number) =>
  Array.from({ length: epochs }, (_, epoch) => lrAt(epoch * STEPS))

function expectClose(received: number[], expected: number[]) {
  expect(received).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expect(received[i], `at ${i}`).toBeCloseTo(value, 12)
}

test('constant', () => {
  expectClose(byEpoch(scheduleOf({ schedule: 'constant' }), 3), [0.4, 0.4, 0.4])
})

test('multi-step falls after the milestones, as a loop that multiplies when it passes one', () => {
  const lrAt = scheduleOf({ schedule: 'multi-step', milestones: [2, 5], gamma: 0.5 })
  expectClose(byEpoch(lrAt, 8), [0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1])
  let rate = 0.4
  for (let step = 0; step < 8 * STEPS; step++) {
    if (step === 2 * STEPS || step === 5 * STEPS) rate *= 0.5
    expect(lrAt(step), `step ${step}`).toBeCloseTo(rate, 12)
  }
})

test('cosine: hand-worked, and the recursion in the documentation of CosineAnnealingLR', () => {
  const root = Math.SQRT1_2
  expectClose(byEpoch(scheduleOf({ epochs: 4 }), 4), [0.4, 0.2 * (1 + root), 0.2, 0.2 * (1 - root)])
  const epochs = 30
  const lrAt = scheduleOf({ epochs })
  let rate = 0.4
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < STEPS; i++) expect(lrAt(epoch * STEPS + i)).toBeCloseTo(rate, 10)
    const cosine = (at: number) => 1 + Math.cos((at * Math.PI) / epochs)
    rate *= cosine(epoch + 1) / cosine(epoch)
  }
})

test('warm-up rises in a straight line to lr, then the schedule is where it would be without', () => {
  const lrAt = scheduleOf({ warmupEpochs: 2 })
  const plain = scheduleOf({})
  const rising = Array.from({ length: 6 }, (_, step) => lrAt(step))
  expectClose(
    rising,
    [1, 2, 3, 4, 5, 6].map((n) => (0.4 * n) / 6),
  )
  for (let step = 6; step < 8 * STEPS; step++) expect(lrAt(step)).toBe(plain(step))
})

test('half an epoch of warm-up is half its steps, rounded', () => {
  const lrAt = scheduleOf({ warmupEpochs: 0.5, schedule: 'constant' })
  expectClose([lrAt(0), lrAt(1), lrAt(2)], [0.2, 0.4, 0.4])
})

test('a schedule is a pure function: the order of the questions changes nothing', () => {
  const lrAt = scheduleOf({ schedule: 'multi-step', milestones: [3], warmupEpochs: 1 })
  const forwards = Array.from({ length: 24 }, (_, step) => lrAt(step))
  const backwards = Array.from({ length: 24 }, (_, i) => lrAt(23 - i)).reverse()
  expect(backwards).toEqual(forwards)
})

test('a function of your own is used as it is, and every value of it is checked', () => {
  expect(scheduleOf({ schedule: (step) => step / 10 })(7)).toBe(0.7)
  expect(scheduleOf({ schedule: () => 0 })(0)).toBe(0)
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1e-9, '0.1' as unknown as number]) {
    const lrAt = scheduleOf({ schedule: (step) => (step === 4 ? bad : 0.1) })
    expect(lrAt(3)).toBe(0.1)
    const refused = { code: 'E_CONFIG', message: expect.stringMatching(/optim\.schedule.*step 4/) }
    expect(() => lrAt(4)).toThrow(expect.objectContaining(refused))
  }
})

test('the placeholder of a function that a file could not hold is refused', () => {
  const refused = { code: 'E_CONFIG', message: expect.stringMatching(/own.*script/s) }
  expect(() => scheduleOf({ schedule: 'own' })).toThrow(expect.objectContaining(refused))
})
