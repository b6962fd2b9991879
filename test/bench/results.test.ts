// bench/results.jsonl, and the pages that are made from it or quote it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { claims } from '../../bench/goals.mjs'
import { pageOf } from '../../bench/page.mjs'
import { newestValid, openVoids, type Row, readRows } from '../../bench/rows.mjs'
import { demoConfig } from '../../lib/demo.js'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

const figure = z.strictObject({
  name: z.string().min(1),
  value: z.number(),
  low: z.number().optional(),
  high: z.number().optional(),
  unit: z.string(),
  values: z.array(z.number()).optional(),
})
const row = z.strictObject({
  date: z.iso.date(),
  bench: z.string(),
  claim: z.string(),
  setting: z.string().min(1),
  sample: z.string().nullable(),
  threads: z.int().positive().nullable(),
  peer: figure.nullable(),
  ours: figure.nullable(),
  ratio: z
    .strictObject({
      value: z.number(),
      median: z.number().optional(),
      low: z.number().optional(),
      high: z.number().optional(),
      unit: z.string().optional(),
    })
    .nullable(),
  also: z.array(figure).optional(),
  goal: z
    .strictObject({
      op: z.enum(['>=', '<=']),
      value: z.number().nullable(),
      aim: z.number().nullable(),
    })
    .nullable(),
  check: z.strictObject({ ok: z.boolean(), text: z.string().min(1) }),
  machine: z.strictObject({
    cpu: z.string(),
    cores: z.int().positive(),
    isa: z.string(),
    libtorch: z.string(),
    node: z.string(),
    gpu: z.string().nullable(),
  }),
  void: z.string().min(1).nullable(),
  text: z.string().optional(),
})

/** The cells of each line of the page's tables, heads and rules left out. */
function tableLines(page: string): string[] {
  return page
    .split('\n')
    .filter((line) => /^\| /.test(line) && !/^\| (setting|loss|---)/.test(line))
}

test('every line of results.jsonl has the fields of a row', () => {
  const lines = read('bench/results.jsonl').trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(90)
  for (const [index, line] of lines.entries()) {
    const result = row.safeParse(JSON.parse(line))
    expect(result.error?.issues, `line ${index + 1}`).toBeUndefined()
  }
})

test('rows belong to a claim of goals.mjs and its benchmark', () => {
  for (const { claim, bench, goal, check, void: reason } of readRows()) {
    expect(claims[claim]?.bench, claim).toBe(bench)
    if (goal) expect(goal.op, claim).toBe(claims[claim]?.op)
    if (!check.ok) expect(reason).not.toBeNull()
  }
})

test('a plain ratio is that of its two sides', () => {
  const others = ['free-run', 'demo-step', 'step-share']
  // With a unit it is a difference.
  const plain = readRows().filter(
    ({ claim, ratio }) => ratio && !ratio.unit && !others.includes(claim),
  )
  expect(plain.length).toBeGreaterThan(80)
  for (const { claim, setting, ours, peer, ratio } of plain) {
    const [mine, theirs, value] = [ours?.value ?? 0, peer?.value ?? 0, ratio?.value ?? 0]
    // Sides of old rows have two digits.
    const apart = Math.min(...[mine / theirs, theirs / mine].map((r) => Math.abs(r / value - 1)))
    expect(apart, `${claim}, ${setting}`).toBeLessThan(0.05)
  }
})

test('values by seed have the mean and the paired difference that stand beside them', () => {
  const bySeed = readRows().filter(({ ours }) => ours?.values)
  expect(bySeed.length).toBeGreaterThan(3)
  for (const { ours, peer, ratio } of bySeed) {
    const [ourMean, peerMean] = [ours, peer].map((side) => {
      const values = side?.values ?? []
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      expect(side?.value).toBeCloseTo(mean, 2) // a value has three decimals
      return mean
    }) as [number, number]
    expect(ratio?.value).toBeCloseTo(ourMean - peerMean, 2)
  }
})

test("README's first table has the newest rows of the demo's configuration", () => {
  const { data, optim } = demoConfig('mc', { root: '-', out: '-', seed: 0 })
  const setting = `${data.classes} kinds x ${data.trainPerClass} images, ${optim.epochs} epochs`
  const signed = (value = Number.NaN) => `${value < 0 ? '' : '+'}${value.toFixed(2)}`
  for (const side of ['mcloss', 'PyTorch']) {
    const row = newestValid(readRows()).find(
      (one) => one.claim === 'loss-gain' && one.setting === `${side}, ${setting}`,
    )
    const { value, low, high } = row?.ratio ?? {}
    expect(read('README.md'), side).toContain(
      `| ${row?.peer?.value.toFixed(2)} | ${row?.ours?.value.toFixed(2)} ` +
        `(${signed(value)}, ${signed(low)} to ${signed(high)}) |`,
    )
  }
})

// By README's words: how its figure is written there, the claim, and the claim of the figure in parentheses.
const onCpu = { digits: 2, claim: 'step-eager', other: 'step-compiled' }
const onGpu = { digits: 2, claim: 'step-gpu-eager', other: 'step-gpu-graph' }
const speeds: Record<string, { digits: number; claim: string; other?: string; setting: string }> = {
  'ResNet-50, 224 px, batch 16': { ...onCpu, setting: 'resnet50 ce 224 px b16' },
  'VGG-16-BN': { ...onCpu, setting: 'vgg16_bn ce 224 px b16' },
  'widened to 600': { ...onCpu, setting: 'resnet18 widened to 600 mc 224 px b16' },
  '[16, 2048, 14, 14]': {
    ...{ digits: 1, claim: 'operator-time' },
    setting: '[16,2048,14,14] float32 channels_last, K 200',
  },
  'first epoch': {
    ...{ digits: 2, claim: 'first-epoch' },
    setting: 'JPEG files of 500 px, resize 600, crop 448',
  },
  'ResNet-50, 448 px': { ...onGpu, setting: 'resnet50 ce 448 px b32 bf16' },
  'VGG-16, 224 px': { ...onGpu, setting: 'vgg16 ce 224 px b32 bf16' },
  '[32, 2048, 14, 14]': {
    ...{ digits: 1, claim: 'operator-gpu-eager', other: 'operator-gpu-compiled' },
    setting: '[32,2048,14,14] float32 contiguous, K 200, cuda',
  },
}

test.each(Object.entries(speeds))('README has the newest speed of %s', (what, one) => {
  const newest = (claim: string) =>
    newestValid(readRows())
      .find((row) => row.claim === claim && row.setting === one.setting)
      ?.ratio?.value.toFixed(one.digits)
  const [line, ...more] = tableLines(read('README.md')).filter((text) => text.includes(what))
  expect(more).toEqual([])
  expect(line).toContain(`| ${newest(one.claim)} x |`)
  if (one.other) expect(line).toContain(`: ${newest(one.other)} x)`)
})

test('RESULTS.md is what results.jsonl says (npm run bench -- results)', () => {
  expect(read('bench/RESULTS.md')).toBe(pageOf(readRows()))
})

test('docs/performance.md quotes lines of RESULTS.md', () => {
  const lines = new Set(tableLines(read('bench/RESULTS.md')))
  const quoted = tableLines(read('docs/performance.md'))
  expect(quoted.length).toBeGreaterThan(5)
  for (const line of quoted) expect(lines, line).toContain(line)
})

// ---- a hand-made example ----

const machine = {
  ...{ cpu: 'A Processor', cores: 4, isa: 'AVX2', libtorch: '2.0.0', node: '20.1.0', gpu: null },
}

/** A row of `memory` (ours / peer, goal <= 1, aim <= 0.8): ours is `ours`, the peer 1000 MB. */
function memoryRow(date: string, setting: string, ours: number, given: Partial<Row> = {}): Row {
  return {
    ...{ date, bench: 'memory', claim: 'memory', setting, sample: '3 processes', threads: 2 },
    peer: { name: 'Peer 1.0', value: 1000, low: 990, high: 1010, unit: 'MB' },
    ours: { name: 'mcloss', value: ours, low: ours, high: ours, unit: 'MB' },
    ratio: { value: ours / 1000, median: ours / 1000, low: 0.5, high: 1.5 },
    goal: { op: '<=', value: 1, aim: 0.8 },
    check: { ok: true, text: 'same losses' },
    ...{ machine, void: null, ...given },
  }
}

const example = [
  memoryRow('2026-01-03', 'net a', 700), // the newest of net a with 2 threads, though first
  memoryRow('2026-01-01', 'net a', 600),
  memoryRow('2026-01-02', 'net a', 900),
  memoryRow('2026-01-01', 'net a', 950, { threads: 1 }), // another key
  memoryRow('2026-01-01', 'net b', 1100), // its later row is void
  memoryRow('2026-01-02', 'net b', 123, { void: 'the losses differ' }),
  memoryRow('2026-01-01', 'net c', 456, { void: 'not measured alone' }), // no valid row
  memoryRow('2026-01-01', 'net d', 789, { void: 'an old fault' }), // a later row is valid
  memoryRow('2026-01-02', 'net d', 800),
  memoryRow('2026-01-02', 'net d', 815.5), // of one day the later one
]

test('the newest valid row wins', () => {
  const found = newestValid(example).map(({ setting, threads, date, ours }) => [
    ...[setting, threads, date, ours?.value],
  ])
  expect(found).toEqual([
    ['net a', 2, '2026-01-03', 700],
    ['net a', 1, '2026-01-01', 950],
    ['net b', 2, '2026-01-01', 1100],
    ['net d', 2, '2026-01-02', 815.5],
  ])
  expect(openVoids(example).map(({ setting }) => setting)).toEqual(['net c', 'net b'])
})

test('the page shows figure, goal, date and machine; a void row only as a note', () => {
  const page = pageOf(example)
  expect(tableLines(page)).toEqual([
    '| net a | 2 | 0.7 (0.5 .. 1.5) | <= 1: met; aim <= 0.8: met | 700 MB | 1000 MB, Peer 1.0 | 2026-01-03 | M1 |',
    '| net a | 1 | 0.95 (0.5 .. 1.5) | <= 1: met; aim <= 0.8: not met | 950 MB | 1000 MB, Peer 1.0 | 2026-01-01 | M1 |',
    '| net b | 2 | 1.1 (0.5 .. 1.5) | <= 1: not met; aim <= 0.8: not met | 1100 MB | 1000 MB, Peer 1.0 | 2026-01-01 | M1 |',
    '| net d | 2 | 0.8155 (0.5 .. 1.5) | <= 1: met; aim <= 0.8: not met | 815.5 MB | 1000 MB, Peer 1.0 | 2026-01-02 | M1 |',
  ])
  expect(page).toContain('- M1: A Processor, 4 cores, AVX2, LibTorch 2.0.0, Node 20.1.0\n')
  expect(page).toContain('Void: net b, 2026-01-02, without a result: the losses differ.')
  expect(page).toContain('Void: net c, 2026-01-01, without a result: not measured alone.')
  for (const hidden of ['123', '456', '789', '0.123', 'an old fault', '600 MB']) {
    expect(page).not.toContain(hidden)
  }
})

test('a claim without a row: not yet run on a GPU, or none is valid', () => {
  const section = (rows: Row[], id: string) =>
    pageOf(rows)
      .split('\n## ')
      .find((text) => text.includes(`Claim \`${id}\``))
  const failed: Row = { ...(example[0] as Row), claim: 'gather-gpu', void: 'its check failed' }
  expect(section([], 'gather-gpu')).toContain('Not yet run on a GPU.')
  expect(section([failed], 'gather-gpu')).toContain('No valid row yet.')
  expect(section([], 'loss-gain')).toContain('No valid row yet.')
})

test('no void row of results.jsonl stands in a table', () => {
  const voids = readRows().filter(({ void: reason }) => reason !== null)
  expect(voids.length).toBeGreaterThan(0)
  const [shown, withVoids] = [false, true].map((some) =>
    tableLines(pageOf(readRows().filter((one) => some || one.void === null))),
  )
  expect(withVoids).toEqual(shown)
})
