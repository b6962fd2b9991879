// Skipped steps: the first is told with its samples and its likely cause, a row of them ends the run.

import { expect, test } from 'vitest'
import type { NativeTrainer } from '../../../lib/binding.js'
import type { Batch } from '../../../lib/data/batch.js'
import type { WarningEvent } from '../../../lib/events.js'
import { emptyTotals, trainEpoch } from '../../../lib/train/epoch.js'
import { emptyStats } from '../../../lib/train/metrics.js'
import { type WatchOptions, watchSkipped } from '../../../lib/train/skipped.js'

function watched(overrides: Partial<WatchOptions> = {}) {
  const events: WarningEvent[] = []
  const watch = watchSkipped({
    device: 'cpu',
    precision: 'fp32',
    logEvery: 1,
    pathOf: (sample) => `${sample}.png`,
    emit: (event) => events.push(event),
    kept: () => 'Kept.',
    ...overrides,
  })
  return { watch, events }
}

/** Step n has the samples 2n and 2n + 1. */
const given = (step: number) => ({ step, lr: 0.5, samples: Int32Array.of(2 * step, 2 * step + 1) })

test('the first skipped step is told once, with its samples and what may have caused it', () => {
  const { watch, events } = watched()
  watch.see([given(0)], 0)
  watch.see([given(1)], 1)
  watch.see([given(2)], 0)
  watch.see([given(3)], 1)
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject({
    files: ['2.png', '3.png'],
    message: expect.stringMatching(/step 1 .*learning rate, 0\.500 .*samples: 2\.png, 3\.png\.$/),
  })
  expect(events[0]?.message).not.toMatch(/precision/)
})

test('at the very first step the learning rate is not the cause; bf16 may be one', () => {
  const { watch, events } = watched({ precision: 'bf16' })
  watch.see([given(0)], 1)
  expect(events[0]?.message).toMatch(/rate is not the cause.*data\.mean.*precision fp32/)
})

test('a long batch is named in full by the event alone', () => {
  const { watch, events } = watched()
  watch.see([{ step: 1, lr: 1, samples: Int32Array.from(Array(9).keys()) }], 1)
  expect(events[0]?.message).toMatch(/: 0\.png, 1\.png, 2\.png, 3\.png, and 5 more\.$/)
  expect(events[0]?.files).toHaveLength(9)
})

test.each([
  [1, 3],
  [3, 3],
  [7, 7],
])(
  'logEvery %i: %i skipped steps in a row are too many, with a good one between not',
  (logEvery, most) => {
    const { watch } = watched({ logEvery })
    let step = 0
    const see = (skipped: number) => watch.see([given(step++)], skipped)
    for (let i = 1; i < most; i++) see(1)
    see(0)
    for (let i = 1; i < most; i++) see(1)
    expect(() => see(1)).toThrow(
      expect.objectContaining({
        code: 'E_NUMERICS',
        message: expect.stringMatching(
          `step ${2 * most - 1} \\(from 0\\): the last ${most} steps .* Kept\\.$`,
        ),
      }),
    )
  },
)

test('a GPU is asked step by step only after a skipped step; what is not known is not counted', () => {
  const { watch, events } = watched({ device: 'cuda', logEvery: 3 })
  const interval = (first: number) => [first, first + 1, first + 2].map(given)
  expect(watch.readsEachStep).toBe(false)
  watch.see(interval(0), 0)
  expect(watch.readsEachStep).toBe(false)
  watch.see(interval(3), 2)
  expect(watch.readsEachStep).toBe(true)
  expect(events[0]).toMatchObject({
    files: [6, 7, 8, 9, 10, 11].map((sample) => `${sample}.png`),
    message: expect.stringContaining('2 of the steps 3..5 (from 0) were skipped'),
  })
  watch.see([given(6)], 1)
  watch.see([given(7)], 1)
  watch.see([given(8)], 0)
  expect(watch.readsEachStep).toBe(false)
  expect(() => watch.see(interval(9), 3)).toThrow(expect.objectContaining({ code: 'E_NUMERICS' }))
})

test('an epoch reads the statistics of each step by itself, and reports their sum', async () => {
  const { watch, events } = watched({ logEvery: 4 })
  const skips = [0, 1, 0, 0]
  let done: number[] = []
  const trainer = {
    step: async (_: Batch, { step }: { step: number }) => void done.push(step),
    stats: async () => {
      const skipped = done.filter((step) => skips[step] === 1).length
      const stats = { ...emptyStats(), steps: done.length, skipped, n: 2 * (done.length - skipped) }
      done = []
      return { ...stats, loss: stats.n, warnings: [] }
    },
  } as unknown as NativeTrainer
  async function* batches() {
    for (const [index] of skips.entries()) {
      yield { samples: given(index).samples, release() {} } as unknown as Batch
    }
  }
  const totals = emptyTotals()
  const progress: unknown[] = []
  const context = {
    trainer,
    batches: batches(),
    stepsPerEpoch: 4,
    epochs: 1,
    seed: 0,
    microBatch: undefined,
    logEvery: 4,
    lrAt: () => 0.5,
    signal: undefined,
    watch,
    emit: (event: unknown) => progress.push(event),
  }
  expect(await trainEpoch(context, { epoch: 0, stepInEpoch: 0, step: 0 }, totals)).toBe(true)
  expect(events.map(({ files }) => files)).toEqual([['2.png', '3.png']])
  expect(progress).toMatchObject([{ type: 'progress', loss: 1, skipped: 1, step: 4 }])
  expect(totals.stats).toMatchObject({ steps: 4, skipped: 1, n: 6, loss: 6 })
})
