// A tiny study from its first run to its table: with one job and two, killed and started again, with a
// run that fails, with a torn line. The runs are processes of dist/.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { type CompareEvent, compare } from '../../../lib/compare/index.js'
import type { CompareReport } from '../../../lib/compare/report.js'
import { defineStudy, type StudyInput } from '../../../lib/compare/study.js'
import { draws, Purpose, uniform } from '../../../lib/random.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { broken, crossEntropy, mc, tinyStudy } from '../../support/tiny-study.js'

const folder = temporaryFolder()
const cli = join(import.meta.dirname, '../../../dist/cli/main.js')
const HANG_MS = 300_000
const withBroken = tinyStudy(folder, { entries: [broken, crossEntropy, mc] })

const fileOf = (out: string) => join(folder, out, 'tiny.jsonl')
const linesOf = (out: string) =>
  existsSync(fileOf(out)) ? readFileSync(fileOf(out), 'utf8').split('\n').slice(0, -1) : []

async function run(study: StudyInput, out: string, jobs = 1) {
  const events: CompareEvent[] = []
  const options = {
    out: join(folder, out),
    jobs,
    onEvent: (event: CompareEvent) => events.push(event),
  }
  const report = await compare(await defineStudy(study), options)
  return { report, events }
}

/** What does not depend on how fast or how often the runs were begun. */
function figuresOf({ entries, failed }: CompareReport) {
  return {
    entries: entries.map(({ seconds, peakBytes, ...figures }) => figures),
    failed,
  }
}

function spawnCompare(study: string, out: string, jobs: number) {
  const args = [cli, 'compare', study, '--out', join(folder, out), '--jobs', String(jobs)]
  const child = spawn(process.execPath, args, { cwd: folder })
  let errors = ''
  child.stderr.on('data', (data) => {
    errors += data
  })
  const ended = new Promise<{ code: number | null; errors: string }>((settle) => {
    child.on('close', (code) => settle({ code, errors }))
  })
  return { child, ended }
}

function printed(child: ChildProcess, count: number): Promise<void> {
  return new Promise((settle) => {
    let lines = 0
    if (count === 0) settle()
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })
      .on('line', () => ++lines === count && settle())
      .on('close', settle)
  })
}

const one = await run(withBroken, 'one')

test('a failed run is named with its reason, and the rest goes on', () => {
  const { report, events } = one
  expect(report.failed).toHaveLength(1)
  expect(report.failed[0]).toMatchObject({ values: broken.values, seed: 0 })
  expect(report.failed[0]?.error).toContain('not-there.safetensors')
  expect(report.entries.map(({ seeds }) => seeds)).toEqual([[], [0, 1], [0, 1]])
  expect(events.filter(({ type }) => type === 'failed')).toHaveLength(1)
  expect(linesOf('one')).toHaveLength(4)
})

test('a line names its run, costs and makers, and no path', () => {
  for (const line of linesOf('one')) {
    const { figures, seconds, peakBytes, versions, machine } = JSON.parse(line)
    expect(Object.keys(figures)).toEqual(['top1', 'top5', 'loss', 'meanPerClass', 'n'])
    expect(figures.n).toBe(15)
    expect(seconds).toBeGreaterThan(0.1)
    expect(peakBytes).toBeGreaterThan(50e6)
    expect(Object.keys(versions)).toEqual(['mcloss', 'libtorch', 'node'])
    expect(machine).toMatchObject({ threads: 1 })
    expect(line).not.toContain(folder)
    expect(line).not.toMatch(/"\//)
  }
})

test('the difference is that of the pairs of seeds', () => {
  const [, baseline, entry] = one.report.entries
  const gains = entry?.top1.map((top1, at) => top1 - (baseline?.top1[at] as number)) as number[]
  expect(entry?.difference).toMatchObject({ n: 2 })
  expect(entry?.difference?.mean).toBeCloseTo(((gains[0] as number) + (gains[1] as number)) / 2, 12)
  expect(baseline).not.toHaveProperty('difference')
  expect(one.report.comparisons).toBe(1)
})

test('two jobs at once give the same figures as one, to the bit', async () => {
  const two = await run(withBroken, 'two', 2)
  expect(figuresOf(two.report)).toEqual(figuresOf(one.report))
  const loss = (line: string) => {
    const { hash, seed, figures } = JSON.parse(line)
    return `${hash} ${seed} ${figures.loss}`
  }
  expect(linesOf('two').map(loss).sort()).toEqual(linesOf('one').map(loss).sort())
})

test('killed at random points and started again it gives the same table', async () => {
  const study = join(folder, 'killed.json')
  writeFileSync(study, JSON.stringify(withBroken))
  const random = draws(7, 0, 0, Purpose.order)
  let before: string[] = []
  for (let kill = 0; kill < 4; kill++) {
    const { child, ended } = spawnCompare(study, 'killed', 2)
    await printed(child, kill % 2)
    await setTimeout(1500 * uniform(random()))
    child.kill('SIGKILL')
    await ended
    const now = linesOf('killed')
    expect(now.slice(0, before.length)).toEqual(before) // nothing is lost
    before = now
  }
  const { ended } = spawnCompare(study, 'killed', 2)
  expect((await ended).code).toBe(1) // the broken entry
  const report = JSON.parse(readFileSync(join(folder, 'killed/tiny.json'), 'utf8'))
  expect(figuresOf(report)).toEqual(figuresOf(one.report))
})

test('a run that was killed before it had a folder of checkpoints begins anew', async () => {
  for (const name of readdirSync(join(folder, 'one/runs'))) {
    mkdirSync(join(folder, 'early/runs', name, 'run'), { recursive: true })
  }
  const early = await run(withBroken, 'early')
  expect(figuresOf(early.report)).toEqual(figuresOf(one.report))
})

test('a torn last line is dropped and told, a changed recipe is run, other lines stay', async () => {
  const whole = linesOf('one')
  appendFileSync(fileOf('one'), `${whole[0]?.slice(0, 40)}`)
  const changed = { label: 'changed', values: { 'optim.lr': 0.01 }, seeds: [0] }
  const again = await run(tinyStudy(folder, { entries: [crossEntropy, changed] }), 'one')
  const [notice, ...others] = again.events
  expect(notice).toMatchObject({ type: 'notice' })
  expect(JSON.stringify(notice)).toContain('was not whole')
  expect(others).toHaveLength(1)
  expect(others[0]).toMatchObject({
    type: 'run',
    result: { label: 'changed', seed: 0 },
    lacking: 0,
  })
  expect(linesOf('one').slice(0, -1)).toEqual(whole)
  expect(again.report.entries[1]?.difference).toMatchObject({ n: 1, low: null })
  const third = await run(tinyStudy(folder, { entries: [crossEntropy, changed] }), 'one')
  expect(third).toEqual({ report: again.report, events: [] }) // nothing is run
})

test('a line that is none of a run is refused with its number', async () => {
  writeFileSync(join(folder, 'bad.jsonl'), `${linesOf('two')[0]}\n<<<<<<< ours\n`)
  const study = { ...tinyStudy(folder), name: 'bad' }
  await expect(run(study, '.')).rejects.toMatchObject({
    code: 'E_DATA',
    message: expect.stringMatching(/line 2 of .*bad\.jsonl.*'<<<<<<< ours'/),
  })
})

test('Ctrl-C saves the runs; they go on to the same figures; the folder takes one comparison', async () => {
  const long = tinyStudy(folder, {
    entries: [{ ...mc, values: { ...mc.values, 'optim.epochs': 60 } }],
    seeds: [0],
    baseline: { label: 'mc' },
  })
  const study = join(folder, 'long.json')
  writeFileSync(study, JSON.stringify(long))
  const { child, ended } = spawnCompare(study, 'stopped', 1)
  const { entriesOf, figureRun, keyOf } = await import('../../../lib/compare/entries.js')
  const [entry] = entriesOf(await defineStudy(long))
  const runDir = join(folder, 'stopped/runs', keyOf(figureRun(entry as never, {}, 0)), 'run')
  const journal = () => readFileSync(join(runDir, 'metrics.jsonl'), 'utf8')
  await vi.waitFor(() => expect(journal()).toContain('"kind":"last"'), HANG_MS)
  await expect(run(long, 'stopped')).rejects.toMatchObject({
    code: 'E_BUSY',
    message: expect.stringContaining(`process ${child.pid}`),
  })
  child.kill('SIGINT')
  const { code, errors } = await ended
  expect(errors).toContain('compare: stopped')
  expect(code).toBe(130)
  expect(existsSync(join(runDir, 'claim.json'))).toBe(false)
  expect(linesOf('stopped')).toEqual([])
  const resumed = await run(long, 'stopped')
  expect(journal().match(/"type":"start"/g)).toHaveLength(2)
  const straight = await run(long, 'straight')
  expect(figuresOf(resumed.report)).toEqual(figuresOf(straight.report))
  const loss = (out: string) => JSON.parse(linesOf(out)[0] ?? '').figures.loss
  expect(loss('stopped')).toBe(loss('straight'))
  expect(existsSync(join(runDir, 'checkpoints'))).toBe(false)
})
