// The committed studies: nothing of them is missing, their tables and charts are what their runs say, and
// the tables of their pages are quoted from those.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, parse } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { compareCsv, compareMarkdown } from '../../lib/cli/reports/compare.js'
import { missingRuns, withComparison } from '../../lib/compare/comparison.js'
import { type CompareReport, reportOf } from '../../lib/compare/report.js'
import { readStudy } from '../../lib/compare/study.js'
import { chartOf } from '../../scripts/dev/study-charts.mjs'
import { temporaryFolder } from '../support/small-birds.js'

const results = join(import.meta.dirname, '../../docs/results')
const read = (...path: string[]) => readFileSync(join(results, ...path), 'utf8')
const names = readdirSync(join(results, 'studies')).map((file) => parse(file).name)
const studies = names.filter((name) => existsSync(join(results, name, `${name}.md`)))
const pages = studies.filter((name) => existsSync(join(results, `${name}.md`)))

const folder = temporaryFolder()
afterAll(() => rmSync(folder, { recursive: true }))

async function reportFromRuns(name: string): Promise<CompareReport> {
  const out = join(folder, name)
  mkdirSync(out)
  copyFileSync(join(results, name, `${name}.jsonl`), join(out, `${name}.jsonl`))
  const study = await readStudy(join(results, 'studies', `${name}.json`))
  return withComparison(study, out, async (comparison) => {
    expect(missingRuns(comparison)).toEqual({ now: [], later: 0 })
    return reportOf(comparison)
  })
}

test.each(studies)('%s: tables and chart are made of its runs', async (name) => {
  const report = await reportFromRuns(name)
  expect(report.failed).toEqual([])
  expect(read(name, `${name}.md`)).toBe(compareMarkdown(report))
  expect(read(name, `${name}.csv`)).toBe(compareCsv(report))
  expect(JSON.parse(read(name, `${name}.json`))).toEqual(JSON.parse(JSON.stringify(report)))
  expect(read(name, `${name}.svg`)).toBe(chartOf(report))
})

test('a chart shows each seed and the mean where its axis says', () => {
  const entry = { values: {}, orientation: false, baseline: 'a', seconds: 1, peakBytes: 1, sd: 0 }
  const difference = { mean: 0.02, low: -0.03, high: 0.07, n: 2 }
  const entries = [
    { ...entry, label: 'a', seeds: [0, 1], top1: [0.5, 0.6], mean: 0.55 },
    { ...entry, label: 'b', seeds: [1, 0], top1: [0.57, 0.57], mean: 0.57, difference },
  ]
  const svg = chartOf({
    name: 'n',
    entries,
    failed: [],
    comparisons: 1,
    machines: [],
    versions: [],
  })
  const ticks = [...svg.matchAll(/<text x="([\d.]+)"[^>]*middle">([^<]+)</g)].map(
    ([, x, text]) => ({
      x: Number(x),
      value: Number(text),
    }),
  )
  const [first, last] = [ticks[0], ticks.at(-1)] as [(typeof ticks)[0], (typeof ticks)[0]]
  const valueAt = (x: string | undefined) =>
    first.value + ((Number(x) - first.x) / (last.x - first.x)) * (last.value - first.value)
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => valueAt(x))
  const ends = [...svg.matchAll(/x1="([\d.]+)" x2="([\d.]+)"[^>]*stroke-width/g)].flatMap(
    ([, low, high]) => [valueAt(low), valueAt(high)],
  )
  const expected = [-3, 7, 2, -3, 7] // b less a by seed 1 and 0, the mean, the interval
  expect([...circles, ...ends]).toHaveLength(expected.length)
  for (const [i, value] of [...circles, ...ends].entries()) {
    expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 1)
  }
})

test.each(pages)('%s: its page quotes tables of the studies', (name) => {
  const tableLines = (text: string) => text.split('\n').filter((line) => line.startsWith('| '))
  const made = new Set(studies.flatMap((one) => tableLines(read(one, `${one}.md`))))
  const quoted = tableLines(read(`${name}.md`))
  expect(quoted.length).toBeGreaterThan(5)
  expect(quoted.filter((line) => !made.has(line))).toEqual([])
})

// README's words for a study's comparison of MC-Loss with cross entropy.
test.each([
  ['the same kinds drawn anew', 'confirmation'],
  ['15 images each, 24 epochs', 'losses-at-one-rate'],
])("README's row of '%s' is of %s", (words, name) => {
  const { entries }: CompareReport = JSON.parse(read(name, `${name}.json`))
  const percent = (share = Number.NaN) => (100 * share).toFixed(1)
  const points = (share = Number.NaN) => `${share < 0 ? '' : '+'}${percent(share)}`
  const [baseline, mc] = entries
  const { mean, low, high } = mc?.difference ?? {}
  const [line, ...more] = read('../../README.md')
    .split('\n')
    .filter((one) => one.includes(words))
  expect(more).toEqual([])
  expect(line).toContain(
    `| ${percent(baseline?.mean ?? undefined)} | ${percent(mc?.mean ?? undefined)} ` +
      `(${points(mean)}, ${points(low ?? undefined)} to ${points(high ?? undefined)}) |`,
  )
})
