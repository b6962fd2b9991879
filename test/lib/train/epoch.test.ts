// What an epoch tells while it runs, with a trainer and batches that only pretend.

import { expect, test } from 'vitest'
import type { NativeTrainer, StepOptions } from '../../../lib/binding.js'
import type { Batch } from '../../../lib/data/batch.js'
import type { ProgressEvent, WarningEvent } from '../../../lib/events.js'
import { emptyTotals, trainEpoch } from '../../../lib/train/epoch.js'
import { emptyStats } from '../../../lib/train/metrics.js'

test("native's warnings become events, in the order they came, and are not added up", async () => {
  const news = [['one', 'two'], [], ['three']]
  const trainer = {
    step: async () => {},
    stats: async () => ({ ...emptyStats(), steps: 1, n: 2, warnings: news.shift() ?? [] }),
  } as unknown as NativeTrainer
  async function* batches() {
    for (let step = 0; step < 3; step++) yield { release() {} } as unknown as Batch
  }
  const events: (ProgressEvent | WarningEvent)[] = []
  const totals = emptyTotals()
  const finished = await trainEpoch(
    {
      trainer,
      batches: batches(),
      stepsPerEpoch: 3,
      epochs: 1,
      seed: 0,
      microBatch: undefined,
      logEvery: 1,
      lrAt: () => 0.1,
      signal: undefined,
      emit: (event) => events.push(event),
    },
    { epoch: 0, stepInEpoch: 0, step: 0 },
    totals,
  )
  expect(finished).toBe(true)
  const told = events.map((event) => (event.type === 'warning' ? event.message : event.type))
  expect(told).toEqual(['one', 'two', 'progress', 'progress', 'three', 'progress'])
  expect(totals.stats).toEqual({ ...emptyStats(), steps: 3, n: 6 })
})

test.each([
  ['none', undefined, [{}, {}]],
  ['one', (step: number) => 10 * step, [{ scalar: 70 }, { scalar: 80 }]],
])(
  "a loss's own schedule, %s: every step gets it as it gets the rate",
  async (_, scalarAt, own) => {
    const options: StepOptions[] = []
    const trainer = {
      step: async (_batch: Batch, given: StepOptions) => void options.push(given),
      stats: async () => ({ ...emptyStats(), steps: 2, n: 2, warnings: [] }),
    } as unknown as NativeTrainer
    async function* batches() {
      for (let step = 0; step < 2; step++) yield { release() {} } as unknown as Batch
    }
    await trainEpoch(
      {
        trainer,
        batches: batches(),
        stepsPerEpoch: 2,
        epochs: 5,
        seed: 3,
        microBatch: undefined,
        logEvery: 10,
        lrAt: (step) => step / 10,
        scalarAt,
        signal: undefined,
        emit: () => {},
      },
      { epoch: 0, stepInEpoch: 0, step: 7 },
      emptyTotals(),
    )
    expect(options).toEqual([
      { step: 7, seed: 3, lr: 0.7, ...own[0] },
      { step: 8, seed: 3, lr: 0.8, ...own[1] },
    ])
  },
)
