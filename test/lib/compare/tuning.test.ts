// Tuning: the same trials for the same grid, on validation images and other seeds; the winner is chosen
// by them alone.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { entriesOf, keyOf, type Run } from '../../../lib/compare/entries.js'
import { gridOf, lossGrids, pointsOf, productOf } from '../../../lib/compare/grids.js'
import { compare } from '../../../lib/compare/index.js'
import type { Result } from '../../../lib/compare/ledger.js'
import { defineStudy } from '../../../lib/compare/study.js'
import { standingOf } from '../../../lib/compare/tuning.js'
import { defineConfig } from '../../../lib/config/index.js'
import { readStudyFolder } from '../../../lib/report/study.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { crossEntropy, mc, tinyConfig, tinyStudy } from '../../support/tiny-study.js'

const folder = temporaryFolder()
const rates = { 'optim.lr': [0.02, 0.05, 0.1] }

async function entryWith(grid: Record<string, number[]>) {
  const study = tinyStudy(folder, {
    entries: [{ ...mc, grid }],
    tune: 3,
    baseline: { label: 'mc' },
  })
  return entriesOf(await defineStudy(study))[0] as ReturnType<typeof entriesOf>[0]
}

/** Finds the runs that `top1` has a figure for; undefined: they are missing; null: not finite. */
const finding = (top1: (run: Run) => number | null | undefined) => (run: Run) => {
  const value = top1(run)
  return value === undefined
    ? undefined
    : ({ figures: value === null ? undefined : { top1: value, loss: 1 } } as Result)
}
const rate = (run: Run) => run.point['optim.lr'] as number

test('the trials come first, then the two best on a second seed, then the figures', async () => {
  const entry = await entryWith(rates)
  const at = (known: (run: Run) => boolean) =>
    standingOf(
      entry,
      finding((run) => (known(run) ? 1 - rate(run) : undefined)),
      0.2,
    )
  const none = at(() => false)
  expect(none.missing.map((run) => [run.kind, run.seed, rate(run)])).toEqual([
    ['trial', 1000, 0.02],
    ['trial', 1000, 0.05],
    ['trial', 1000, 0.1],
  ])
  expect(none.later).toBe(4)
  for (const { config } of none.missing) expect(config.data.validation).toBe(0.2)
  const first = at((run) => run.seed === 1000)
  expect(first.missing.map((run) => [run.kind, run.seed, rate(run)])).toEqual([
    ['trial', 1001, 0.02],
    ['trial', 1001, 0.05],
  ])
  const second = at((run) => run.kind === 'trial')
  expect(second.chosen).toEqual({ 'optim.lr': 0.02 })
  expect(second.missing.map((run) => [run.kind, run.seed, rate(run)])).toEqual([
    ['figure', 0, 0.02],
    ['figure', 1, 0.02],
  ])
  for (const { config } of second.missing) expect(config.data.validation).toBeUndefined()
})

test('the better mean of two seeds on validation images wins, whatever the test images say', async () => {
  const entry = await entryWith(rates)
  const validation: Record<number, number[]> = { 0.02: [0.5, 0.9], 0.05: [0.6, 0.7], 0.1: [0.4, 1] }
  const find = finding((run) => {
    if (run.kind === 'figure') return 0.05 === rate(run) ? 1 : undefined
    return validation[rate(run)]?.[run.seed - 1000]
  })
  const standing = standingOf(entry, find, 0.2)
  expect(standing.chosen).toEqual({ 'optim.lr': 0.02 })
  expect(standing.trials.map(({ top1 }) => top1)).toEqual([[0.5, 0.9], [0.6, 0.7], [0.4]])
})

test('a trial whose figures are not finite is never chosen; without any other there is no choice', async () => {
  const entry = await entryWith(rates)
  const one = standingOf(
    entry,
    finding((run) => (rate(run) === 0.1 ? 0.1 : null)),
    0.2,
  )
  expect(one.chosen).toEqual({ 'optim.lr': 0.1 })
  const none = standingOf(
    entry,
    finding(() => null),
    0.2,
  )
  expect(none).toMatchObject({ missing: [], later: 0 })
  expect(none.chosen).toBeUndefined()
})

test('trials see no test image, their seeds are others, and the chosen point makes the figures', async () => {
  const grid = { 'optim.lr': [0.05, 1e30] }
  const study = await defineStudy(
    tinyStudy(folder, {
      entries: [{ ...crossEntropy, grid }],
      seeds: [0],
      tune: 2,
      validation: 0.25,
      baseline: { label: 'ce' },
    }),
  )
  const out = join(folder, 'tuned')
  const report = await compare(study, { out, jobs: 2, onEvent: () => {} })
  const { entries, failed } = report
  expect(failed).toEqual([]) // a rate that is too high is a bad trial, no failure
  expect(entries[0]).toMatchObject({ tuned: { 'optim.lr': 0.05 }, seeds: [0] })
  writeFileSync(join(out, 'tiny.json'), JSON.stringify(report)) // as the command does
  const reported = await readStudyFolder(out)
  expect(reported?.notes).toEqual([])
  expect(reported?.runs.map(({ name, config }) => [name, config?.optim])).toEqual([
    ['ce, seed 0', expect.objectContaining({ lr: 0.05 })],
  ])
  const lines: Result[] = readFileSync(join(out, 'tiny.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.map(({ kind, seed }) => [kind, seed]).sort()).toEqual([
    ['figure', 0],
    ['trial', 1000],
    ['trial', 1000],
    ['trial', 1001],
  ])
  const trials = lines.filter(({ kind }) => kind === 'trial')
  expect(trials.filter(({ error }) => error === 'E_NUMERICS')).toHaveLength(1)
  const finite = trials.filter(({ figures }) => figures)
  expect(entries[0]?.trials?.[0]?.top1).toEqual(
    finite.sort((a, b) => a.seed - b.seed).map(({ figures }) => figures?.top1),
  )
  for (const trial of finite) {
    expect(trial.figures?.n).toBe(6) // 2 of 8 training images of each class
    const journal = readFileSync(join(out, 'runs', keyOf(trial), 'run', 'metrics.jsonl'), 'utf8')
    expect(journal).toContain('"validation":{')
    expect(journal).not.toContain('"test":{')
    expect(journal).toContain('"testSamples":0')
  }
  expect(readdirSync(join(out, 'runs')).filter((name) => /-\d+$/.test(name))).toHaveLength(4)
})

test('a grid has the rates and what the loss has of its own, but nothing that an entry states', () => {
  expect(gridOf('focal', {})).toEqual({
    'optim.lr': [0.02, 0.05, 0.1, 0.2],
    'loss.gamma': [1, 2, 5],
  })
  expect(gridOf('cross-entropy', { loss: { name: 'cross-entropy', labelSmoothing: 0 } })).toEqual({
    'optim.lr': [0.02, 0.05, 0.1, 0.2],
  })
  expect(Object.keys(gridOf('lmcl', { 'loss.scale': 30, 'optim.lr': 1 }))).toEqual(['loss.margin'])
})

test('every loss of the configuration has a grid, and takes its values', () => {
  const schema = JSON.stringify(tinyConfig(folder))
  for (const name of ['cross-entropy', 'center', 'lmcl', 'mc']) {
    for (const point of productOf(lossGrids[name] ?? {})) {
      const weights = name === 'mc' ? { alpha: 1, beta: 1 } : {}
      const config = { ...JSON.parse(schema), loss: { name, ...weights, ...point } }
      expect(() => defineConfig(config)).not.toThrow()
    }
  }
})

test('points are a sample of the grid: the same again, different ones, in its order', () => {
  const grid = { a: [1, 2, 3, 4], b: [1, 2, 3] }
  const all = productOf(grid)
  expect(all).toHaveLength(12)
  const some = pointsOf(grid, 5)
  expect(some).toEqual(pointsOf(grid, 5))
  const places = some.map((point) => all.findIndex(({ a, b }) => a === point.a && b === point.b))
  expect(places).toEqual([...new Set(places)].sort((x, y) => x - y))
  expect(places).toHaveLength(5)
  expect(pointsOf(grid, 100)).toEqual(all)
})
