// What a comparison prints: its table in words, and the same as CSV.

import { expect, test } from 'vitest'
import { compareCsv, compareMarkdown, eventText } from '../../../lib/cli/reports/compare.js'
import type { CompareReport, EntryReport } from '../../../lib/compare/report.js'

const entry = (more: Partial<EntryReport>): EntryReport => ({
  ...{ label: 'ce', values: {}, orientation: false, seeds: [0, 1], top1: [0.5, 0.6] },
  ...{ mean: 0.55, sd: 0.0707, seconds: 12.34, peakBytes: 250e6, baseline: 'ce' },
  ...more,
})
const report = (entries: EntryReport[], more: Partial<CompareReport> = {}): CompareReport => ({
  ...{ name: 'birds', entries, failed: [], machines: ['a processor, 2 cores'] },
  comparisons: entries.filter(({ difference }) => difference).length,
  versions: ['mcloss 1'],
  ...more,
})
const gain = entry({
  ...{ label: 'mc', values: { loss: { name: 'mc' } }, top1: [0.6, 0.62], mean: 0.61, sd: 0.0141 },
  difference: { mean: 0.06, low: -0.4482, high: 0.5682, n: 2 },
})
const cells = (text: string, label: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`| ${label}`))
    ?.split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())

test('a difference is in percentage points, with its interval, n and how many were made', () => {
  const text = compareMarkdown(report([entry({}), gain]))
  expect(cells(text, 'ce (baseline)')).toEqual([
    ...['ce (baseline)', '55.0', '7.1', '0 1', '12.3', '250 MB', '', '', ''],
  ])
  expect(cells(text, 'mc')?.slice(-3)).toEqual(['+6.0', '-44.8 .. +56.8', '2'])
  expect(text).toContain('percentage points')
  expect(text).toContain('1 comparison was made')
  expect(text).not.toContain('One seed proves nothing')
  expect(text).not.toContain('published')
})

test('one seed proves nothing, and has no interval', () => {
  const one = { ...gain, seeds: [0], difference: { mean: -0.02, low: null, high: null, n: 1 } }
  const text = compareMarkdown(report([entry({}), one]))
  expect(cells(text, 'mc')?.slice(-3)).toEqual(['-2.0', '-', '1'])
  expect(text).toContain('One seed proves nothing')
})

test('marks, published figures, trials, failed runs and other machines are told', () => {
  const published = { top1: 0.908, source: 'a | paper' }
  const trials = [{ values: { 'optim.lr': 0.1 }, top1: [0.4, 0.5] }]
  const marked = { ...gain, orientation: true, published, trials, tuned: { 'optim.lr': 0.1 } }
  const text = compareMarkdown(
    report([entry({}), marked], {
      about: 'Why.',
      failed: [{ values: { 'optim.lr': 9 }, seed: 3, error: 'E_NUMERICS' }],
      machines: ['one', 'two'],
    }),
  )
  for (const words of [
    '# birds\n\nWhy.\n',
    '| mc (orientation) ',
    'too few seeds',
    '90.8 (a \\| paper)',
    '40.0 50.0',
    'chosen',
    '- optim.lr 9, seed 3: E_NUMERICS',
    'their costs do not compare',
  ]) {
    expect(text).toContain(words)
  }
})

test('an entry without a figure has empty cells', () => {
  const none = entry({ label: 'x', seeds: [], top1: [], mean: null, sd: null, seconds: null })
  const text = compareMarkdown(report([entry({}), { ...none, peakBytes: null }, gain]))
  expect(cells(text, 'x')).toEqual(['x', '-', '-', '-', '-', '-', '-', '', ''])
})

test('CSV: a line per entry, quotes where they are due', () => {
  const [head, first, second] = compareCsv(report([entry({}), gain])).split('\r\n')
  expect(head?.split(',')).toHaveLength(15)
  expect(first).toBe('ce,{},false,0 1,0.5 0.6,0.55,0.0707,12.34,250000000,ce,,,,,')
  expect(second).toBe(
    'mc,"{""loss"":{""name"":""mc""}}",false,0 1,0.6 0.62,0.61,0.0141,12.34,250000000,ce,0.06,-0.4482,0.5682,2,',
  )
})

test('lines of runs', () => {
  const failed = { type: 'failed', label: 'a', seed: 1, error: 'E_IO', lacking: 2 } as const
  expect(eventText(failed)).toBe('FAILED  a, seed 1: E_IO  (2 to go)')
})
