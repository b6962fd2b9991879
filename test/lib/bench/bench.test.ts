// mcloss bench: what it varies and recommends, and short measurements of the toy model. No figure of
// time decides a test.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type BenchReport, bench } from '../../../lib/bench/index.js'
import {
  alternatives,
  flagsOf,
  median,
  recommendation,
  winners,
} from '../../../lib/bench/settings.js'
import { formatBench } from '../../../lib/cli/reports/bench.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const toy = (overrides: Partial<ConfigInput> = {}) => defineConfig(toyConfig(folder, overrides))

test('one alternative a key, none that is what the configuration has', () => {
  const config = { ...toy(), threads: 8 }
  const machine = { physicalCores: 8, multipliesBf16: false }
  expect(alternatives(config, machine)).toEqual([{ channelsLast: false }, { threads: 4 }])
  expect(alternatives(config, { ...machine, multipliesBf16: true })).toContainEqual({
    precision: 'bf16',
  })
  const odd = { ...config, threads: 3, channelsLast: false, precision: 'bf16' as const }
  expect(alternatives(odd, machine)).toEqual([
    { channelsLast: true },
    { threads: 8 },
    { threads: 4 },
    { precision: 'fp32' },
  ])
  expect(alternatives({ ...config, threads: 1 }, { ...machine, physicalCores: 1 })).toEqual([
    { channelsLast: false },
  ])
  expect(alternatives({ ...config, device: 'cuda' as const }, machine)).toEqual([
    { channelsLast: false },
    { precision: 'bf16' },
  ])
})

test('a change pays from 3 % at the median and where it is slower in no round', () => {
  const slow = { change: { channelsLast: false }, ratios: [0.5, 0.6, 0.7] }
  const noise = { change: { threads: 8 }, ratios: [1.2, 0.98, 1.3] }
  const little = { change: { precision: 'bf16' as const }, ratios: [1.01, 1.02, 1.02] }
  expect(winners([slow, noise, little])).toEqual([])
  expect(recommendation([slow, noise, little])).toBeUndefined()
  const good = { change: { threads: 4 }, ratios: [1.1, 1.05, 1.2] }
  const better = { change: { threads: 2 }, ratios: [1.3, 1.2, 1.01] }
  expect(winners([slow, good, better, little])).toEqual([{ threads: 2 }])
  const other = { change: { channelsLast: true }, ratios: [1.04, 1.04, 1.04] }
  expect(winners([good, better, other])).toEqual([{ threads: 2 }, { channelsLast: true }])
  const both = { change: { threads: 2, channelsLast: true }, ratios: [1.1, 1.1, 1.1] }
  expect(recommendation([good, better, other, both])).toBe(better)
  const faster = { ...both, ratios: [1.3, 1.25, 1.2] }
  expect(recommendation([good, better, other, faster])).toBe(faster)
  expect(flagsOf(both.change)).toEqual(['--threads 2', '--channelsLast true'])
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5])
})

test('noise needs no data; the configuration stays as it is', async () => {
  const config = toy()
  const before = structuredClone(config)
  const seen: string[] = []
  const report = await bench(config, {
    rounds: 2,
    steps: 2,
    onTurn: ({ round, setting }) => seen.push(`${round} ${setting.channelsLast}`),
  })
  expect(config).toEqual(before)
  expect(existsSync(join(folder, 'birds'))).toBe(false)
  expect(existsSync(join(folder, 'runs'))).toBe(false)
  expect(report).toMatchObject({ classes: 3, steps: 2, batchSize: 8, crop: [64, 64] })
  expect(report.own.setting).toEqual({ channelsLast: true, threads: 1, precision: 'fp32' })
  const [layout] = report.alternatives
  expect(layout?.change).toEqual({ channelsLast: false })
  for (const { turns } of [report.own, ...report.alternatives]) {
    expect(turns).toHaveLength(2)
    for (const turn of turns) {
      expect(turn.imagesPerSecond).toBeGreaterThan(0)
      expect(turn.firstStepSeconds).toBeGreaterThan(0)
    }
    // A fresh trainer each: the same steps, the same loss.
    expect(turns[1]?.loss).toBe(turns[0]?.loss)
  }
  // Another layout is the same mathematics.
  expect(layout?.turns[0]?.loss).toBeCloseTo(report.own.turns[0]?.loss ?? 0, 3)
  expect(layout?.ratios[1]).toBe(
    (layout?.turns[1]?.imagesPerSecond ?? 0) / (report.own.turns[1]?.imagesPerSecond ?? 1),
  )
  expect(seen.slice(0, 2)).toEqual(['0 true', '0 false'])
  // Where two changes pay, their union is measured afterwards.
  const sides = seen.findIndex((turn) => turn.startsWith('1'))
  expect(seen.slice(2 * sides - 2, 2 * sides)).toEqual(['1 false', '1 true'])
  expect(report).not.toHaveProperty('data')
  expect(report).not.toHaveProperty('profile')
})

test('with data it trains on the images of the configuration', async () => {
  const events: string[] = []
  const report = await bench(toy(), {
    ...{ rounds: 2, steps: 4, alternatives: false, withData: true },
    onEvent: ({ type }) => events.push(type),
  })
  expect(report.alternatives).toEqual([])
  expect(report.data).toMatchObject({ steps: 8, store: 'mmap' }) // 24 images: more than one epoch
  expect(report.data?.imagesPerSecond).toBeGreaterThan(0)
  expect(report.data?.dataWait).toBeGreaterThanOrEqual(0)
  expect(report.data?.dataWait).toBeLessThanOrEqual(1)
  expect(events.at(-1)).toBe('store')
})

test('a profile names the operators of a mean step', async () => {
  const { profile = [] } = await bench(toy(), {
    ...{ rounds: 1, steps: 1, alternatives: false, profile: true },
  })
  expect(profile.find(({ name }) => name === 'aten::convolution')?.calls).toBe(3)
  expect(profile.find(({ name }) => name === 'mcloss::step')?.calls).toBe(1)
})

test('an abort ends it; a batch size without a batch is refused', async () => {
  const signal = AbortSignal.abort()
  await expect(bench(toy(), { steps: 1, signal })).rejects.toMatchObject({ code: 'E_ABORTED' })
  const huge = toy({ optim: { lr: 0.1, epochs: 1, batchSize: 25 } })
  const options = { rounds: 1, steps: 1, alternatives: false, withData: true }
  await expect(bench(huge, options)).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringContaining('24 training images'),
  })
})

test('the report in words holds every figure and the flags to copy', () => {
  const turn = { imagesPerSecond: 40, firstStepSeconds: 1.25, loss: 2 }
  const setting = { channelsLast: true, threads: 2, precision: 'fp32' as const }
  const report: BenchReport = {
    ...{ device: 'cpu', cpu: 'a processor', libtorch: '2.13.0', model: 'toy, linear head' },
    ...{ loss: 'mc', batchSize: 8, crop: [64, 32], classes: 3, steps: 5 },
    own: { setting, turns: [turn, { ...turn, imagesPerSecond: 50 }] },
    alternatives: [
      {
        setting: { ...setting, precision: 'bf16' },
        change: { precision: 'bf16' },
        turns: [{ ...turn, imagesPerSecond: 80 }],
        ratios: [2],
      },
    ],
    recommended: { flags: ['--precision bf16'], ratios: [2] },
    data: { imagesPerSecond: 36, dataWait: 0.125, steps: 10, store: 'mmap' },
    profile: Array.from({ length: 20 }, (_, i) => ({ name: `op${i}`, calls: i, selfMs: 20 - i })),
  }
  const text = formatBench(report)
  for (const part of [
    'toy, linear head, mc, 3 classes, 64x32 px, batches of 8',
    'this configuration    45.00 images/s (40.00 .. 50.00)',
    'first step after 1.25 s',
    'precision bf16        80.00 images/s (80.00 .. 80.00), 2.000 x (2.000 .. 2.000)',
    '36.00 images/s over 10 steps, 0.800 of the above; waited for data 12.5 %; store mmap',
    'one step, 210.0 ms',
    '     20.00 ms   9.5 %      0  op0',
    '     15.00 ms   7.1 %     85  5 others',
    'recommended: --precision bf16   (2.000 x)',
    'other numerics',
  ]) {
    expect(text).toContain(part)
  }
})
