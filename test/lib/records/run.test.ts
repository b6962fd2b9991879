// The records in the run folder of toy runs: what they say is what the run's events say.

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { type NativeBatch, native } from '../../../lib/binding.js'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { parseCsv } from '../../../lib/data/datasets/lists/csv-text.js'
import type { EpochEvent, RunEvent } from '../../../lib/events.js'
import { packageVersion } from '../../../lib/machine.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import type { RunResult } from '../../../lib/train/result.js'
import { train } from '../../../lib/train/train.js'
import { type Curves, eventReader, plainEvents, readEvents } from '../../support/event-reader.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const start = process.cwd()
const folder = temporaryFolder()
afterEach(() => process.chdir(start))

interface Done {
  events: RunEvent[]
  result?: RunResult
  error?: unknown
  runDir: string
}

/** `until`: the run is stopped after such an event. */
async function done(
  overrides: Partial<ConfigInput>,
  options: { resume?: string; until?: (event: RunEvent) => boolean } = {},
): Promise<Done> {
  const abort = new AbortController()
  const { resume, until } = options
  const run = train(defineConfig(toyConfig(folder, overrides)), {
    signal: abort.signal,
    ...(resume && { resume }),
  })
  const events: RunEvent[] = []
  let error: unknown
  try {
    for await (const event of run) {
      events.push(event)
      if (until?.(event)) abort.abort()
    }
  } catch (thrown) {
    error = thrown
  }
  const begun = events.find((event) => event.type === 'start')
  const result = error ? undefined : await run.result
  return {
    events,
    runDir: begun?.runDir ?? '',
    ...(result && { result }),
    ...(error !== undefined && { error }),
  }
}

const csvOf = (runDir: string) => {
  const [header, ...rows] = parseCsv(
    readFileSync(join(runDir, 'metrics.csv'), 'utf8'),
    'metrics.csv',
  )
  const names = header?.fields ?? []
  return rows.map(({ fields }) => Object.fromEntries(fields.map((field, at) => [names[at], field])))
}
/** Column by column; a figure that an event does not have is an empty field. */
function expectRows(runDir: string, events: EpochEvent[]): void {
  const rows = csvOf(runDir)
  expect(rows.map(({ epoch }) => Number(epoch))).toEqual(events.map(({ epoch }) => epoch))
  for (const [at, event] of events.entries()) {
    const { train, test, validation } = event
    const row = rows[at] as Record<string, string>
    const evaluated = (name: string, of: object | undefined) =>
      of
        ? Object.fromEntries(Object.entries(of).map(([key, value]) => [`${name}.${key}`, value]))
        : {}
    const { parts, ...figures } = train
    const expected = {
      epoch: event.epoch,
      epochs: event.epochs,
      step: event.step,
      lr: event.lr,
      seconds: event.seconds,
      ...evaluated('train', figures),
      ...evaluated('train.parts', parts),
      ...evaluated('test', test),
      ...evaluated('validation', validation),
    }
    const present = Object.entries(row).filter(([, field]) => field !== '')
    expect(Object.fromEntries(present.map(([name, field]) => [name, Number(field)]))).toEqual(
      expected,
    )
  }
}
const epochsOf = (...runs: Done[]) =>
  runs.flatMap(({ events }) => events.filter((event) => event.type === 'epoch'))
const environments = (runDir: string) =>
  JSON.parse(readFileSync(join(runDir, 'environment.json'), 'utf8'))
/** As the plain reader has them, and TensorBoard's own where it is. */
function curvesIn(runDir: string): Curves {
  const tensorboard = join(runDir, 'tensorboard')
  const curves = plainEvents(tensorboard)
  if (eventReader.python) expect(readEvents(tensorboard).curves).toEqual(curves)
  return curves
}
/** Returns what puts the checkpoints of now back, as a power cut does with those that came after. */
function keepCheckpoints(runDir: string): () => void {
  const [checkpoints, kept] = [join(runDir, 'checkpoints'), `${runDir}-kept`]
  cpSync(checkpoints, kept, { recursive: true })
  const [name = ''] = readdirSync(kept)
  return () => {
    rmSync(checkpoints, { recursive: true })
    cpSync(kept, checkpoints, { recursive: true })
    rmSync(join(runDir, 'last'))
    symlinkSync(join('checkpoints', name), join(runDir, 'last'))
  }
}
const eventFiles = (runDir: string) => readdirSync(join(runDir, 'tensorboard')).sort()

/** The curves that events make: progress within an epoch, epochs at its end. */
function curvesOf(...runs: Done[]): Curves {
  const curves: Curves = {}
  const add = (step: number, name: string, value: unknown) => {
    if (typeof value === 'number') {
      const points = curves[name] ?? []
      curves[name] = points
      points.push([step, Math.fround(value)])
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        if (key !== 'n' && key !== 'classes') add(step, `${name}/${key}`, inner)
      }
    }
  }
  for (const event of runs.flatMap(({ events }) => events)) {
    if (event.type === 'progress' && event.stepInEpoch < event.stepsPerEpoch) {
      const { loss, parts, top1, gradNorm, skipped, imagesPerSecond, dataWait, lr } = event
      const figures = { loss, parts, top1, gradNorm, skipped, imagesPerSecond, dataWait, lr }
      add(event.step, 'progress', figures)
    }
    if (event.type !== 'epoch') continue
    const { train, test, validation, lr, seconds } = event
    for (const [name, value] of Object.entries({ train, test, validation, lr, seconds }))
      add(event.step, name, value)
  }
  return curves
}

const long: Partial<ConfigInput> = { optim: { lr: 0.05, epochs: 3, batchSize: 8 } }

test('a run: an environment, a row an epoch, the curves, and the training is what it is without', async () => {
  const run = await done({ ...long, name: 'whole', evalEvery: 2 })
  expect(run.error).toBeUndefined()
  expectRows(run.runDir, epochsOf(run))
  expect(epochsOf(run).map(({ test }) => test !== undefined)).toEqual([false, true, true])
  const [environment, ...others] = environments(run.runDir)
  expect(others).toEqual([])
  const { libtorch, cuda, cpuCapability } = native().buildInfo()
  expect(environment).toMatchObject({
    epoch: 0,
    step: 0,
    mcloss: packageVersion(),
    node: process.version,
    ...{ libtorch, cuda, cpuCapability },
    device: 'cpu',
    threads: 1,
    processor: expect.any(String),
    configSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  expect(Math.abs(Date.parse(environment.started) - Date.now())).toBeLessThan(3_600_000)
  expect(eventFiles(run.runDir)).toHaveLength(1)

  const without = await done({
    ...long,
    name: 'bare',
    evalEvery: 2,
    records: { tensorboard: false },
  })
  expect(readdirSync(without.runDir)).not.toContain('tensorboard')
  const weights = (runDir: string) => readFileSync(join(runDir, 'last', 'optimizer.safetensors'))
  expect(weights(without.runDir).equals(weights(run.runDir))).toBe(true)
  expect(without.result?.last.loss).toBe(run.result?.last.loss)
})

test('a stopped run goes on: no row, point or entry is lost or there twice', async () => {
  const first = await done(
    { ...long, name: 'parts' },
    { until: (event) => event.type === 'progress' && event.step === 4 },
  )
  expect(first.error).toMatchObject({ code: 'E_ABORTED' })
  // Half a line, as a process that is killed leaves it, and an epoch that is trained again.
  const journal = join(first.runDir, 'metrics.jsonl')
  const later = { ...epochsOf(first)[0], epoch: 1, step: 6, lr: 9 }
  writeFileSync(journal, `${JSON.stringify(later)}\n{"type":"epoch","epoch":0,"tr`, { flag: 'a' })
  writeFileSync(journal, '\n', { flag: 'a' })
  const [only] = environments(first.runDir)
  const second = await done(
    { ...long, name: 'parts', threads: 2 },
    { resume: first.runDir, until: (event) => event.type === 'epoch' },
  )
  expect(second.error).toMatchObject({ code: 'E_ABORTED' })
  const third = await done({ ...long, name: 'parts' }, { resume: first.runDir })
  expect(third.error).toBeUndefined()

  expectRows(first.runDir, epochsOf(first, second, third))
  expect(csvOf(first.runDir)).toHaveLength(3)
  expect(environments(first.runDir)).toMatchObject([
    only,
    { epoch: 1, step: expect.any(Number), threads: 2 },
    { epoch: 2, threads: 1 },
  ])
  expect(eventFiles(first.runDir)).toHaveLength(3)
  const curves = curvesIn(first.runDir)
  expect(curves).toEqual(curvesOf(first, second, third))
  expect(curves['train/loss']?.map(([step]) => step)).toEqual([3, 6, 9])
  expect(curves['progress/loss']?.map(([step]) => step)).toEqual([1, 2, 4, 5, 7, 8])
})

test('from an earlier checkpoint the epochs are trained again: their rows and points are replaced', async () => {
  const every = { checkpointEvery: 5, evalEvery: 5, optim: { lr: 0.05, epochs: 4, batchSize: 8 } }
  const first = await done(
    { ...every, name: 'again' },
    { until: (event) => event.type === 'progress' && event.step === 2 },
  )
  const restore = keepCheckpoints(first.runDir)
  const second = await done(
    { ...every, name: 'again' },
    { resume: first.runDir, until: (event) => event.type === 'progress' && event.step === 8 },
  )
  expect(csvOf(first.runDir)).toHaveLength(2)
  restore()
  const third = await done({ ...every, name: 'again' }, { resume: first.runDir })
  expect(third.error).toBeUndefined()
  expect(second.events.length).toBeGreaterThan(0)
  expectRows(first.runDir, epochsOf(third))
  expect(curvesIn(first.runDir)).toEqual(curvesOf(first, third))
})

test('stopped in its evaluation, an epoch has one row and one point', async () => {
  const first = await done(
    { ...long, name: 'evaluation' },
    {
      until: (event) => event.type === 'progress' && event.stepInEpoch === event.stepsPerEpoch,
    },
  )
  expect(epochsOf(first)).toEqual([])
  const restore = keepCheckpoints(first.runDir)
  await done({ ...long, name: 'evaluation' }, { resume: first.runDir })
  restore()
  const third = await done({ ...long, name: 'evaluation' }, { resume: first.runDir })
  expect(epochsOf(third)).toHaveLength(3)
  expectRows(first.runDir, epochsOf(third))
  expect(curvesIn(first.runDir)).toEqual(curvesOf(first, third))
})

test('validation figures have columns and curves of their own; the test split has one point', async () => {
  const data = { ...toyConfig(folder).data, validation: 0.25 } as ConfigInput['data']
  const run = await done({ name: 'validated', data })
  expectRows(run.runDir, epochsOf(run))
  expect(csvOf(run.runDir)[0]).toHaveProperty(['validation.meanPerClass'])
  expect(csvOf(run.runDir)[0]).not.toHaveProperty(['test.top1'])
  const curves = curvesIn(run.runDir)
  const { epoch, top1 } = (run.result as RunResult).test
  expect(curves['test/top1']).toEqual([[(epoch + 1) * 2, Math.fround(top1)]])
  expect(curves['validation/top1']).toHaveLength(2)
})

test('the report is of the test split with the best weights; evaluate writes the same', async () => {
  const run = await done({ ...long, name: 'reported' })
  const { best } = run.result as RunResult
  const report = join(run.runDir, 'report')
  const perClass = JSON.parse(readFileSync(join(report, 'per-class.json'), 'utf8'))
  const sum = (key: string) =>
    perClass.reduce((to: number, row: Record<string, number>) => to + (row[key] ?? 0), 0)
  expect(sum('n')).toBe(15)
  expect(sum('correct') / 15).toBeCloseTo(best.top1, 12)
  expect(sum('accuracy') / 3).toBeCloseTo(best.meanPerClass, 12)

  const mistakes = JSON.parse(readFileSync(join(report, 'mistakes.json'), 'utf8'))
  expect(mistakes).toHaveLength(15 - sum('correct'))
  const answers = await predict(
    mistakes.map(({ path }: { path: string }) => path),
    { weights: run.runDir, top: 3 },
  )
  for (const [at, mistake] of mistakes.entries()) {
    const { top } = answers[at] as (typeof answers)[number]
    const of = (name: string) => top.find((one) => one.class === name)?.probability
    expect(mistake.predicted).toBe(top[0]?.class)
    expect(mistake.probability).toBeCloseTo(of(mistake.predicted) ?? Number.NaN, 5)
    expect(mistake.labelProbability).toBeCloseTo(of(mistake.label) ?? Number.NaN, 5)
  }

  const again = join(folder, 'again-report')
  const figures = await evaluate({ weights: run.runDir, report: again })
  expect(figures).toEqual(await evaluate({ weights: run.runDir }))
  expect(readdirSync(again)).toEqual(readdirSync(report))
  for (const name of readdirSync(report))
    expect(readFileSync(join(again, name), 'utf8'), name).toBe(
      readFileSync(join(report, name), 'utf8'),
    )
})

test('a stop at the end leaves the report out, says how to write it, and keeps the result', async () => {
  // Of three classes top-5 is always 1: the first epoch stays the best, and an earlier start made it.
  const impatient = { ...long, name: 'impatient', best: { metric: 'top5' } } as const
  const begun = await done(impatient, { until: ({ type }) => type === 'epoch' })
  const run = await done(impatient, {
    until: (event) => event.type === 'epoch' && event.epoch === 2,
    resume: begun.runDir,
  })
  expect(run.result?.last.epoch).toBe(2)
  expect(readdirSync(run.runDir)).not.toContain('report')
  const advice = `mcloss eval --weights ${run.runDir} --report ${join(run.runDir, 'report')}`
  expect(run.events.at(-1)).toMatchObject({
    type: 'warning',
    message: expect.stringContaining(advice),
  })
})

test('with data.validation the report is of the one reading of the test split', async () => {
  const create = native().NativeTrainer.create
  const data = { ...toyConfig(folder).data, validation: 0.25 } as ConfigInput['data']
  let evaluated = 0
  const spy = vi.spyOn(native().NativeTrainer, 'create').mockImplementation(async (config) => {
    const trainer = await create(config)
    const evaluate = trainer.evaluate.bind(trainer)
    const value = (batch: NativeBatch) => {
      evaluated += batch.count
      return evaluate(batch)
    }
    return Object.defineProperty(trainer, 'evaluate', { value })
  })
  const run = await done({ name: 'once', data })
  spy.mockRestore()
  expect(evaluated).toBe(2 * 6 + 15)
  const rows = JSON.parse(readFileSync(join(run.runDir, 'report', 'per-class.json'), 'utf8'))
  const correct = rows.reduce((to: number, row: { correct: number }) => to + row.correct, 0)
  expect(correct / 15).toBeCloseTo(run.result?.test.top1 ?? Number.NaN, 12)
})

test('the commit of the folder that the run is started in, and whether files differ from it', async () => {
  const work = join(folder, 'work')
  mkdirSync(work)
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], {
      cwd: work,
      encoding: 'utf8',
    }).stdout
  const environment = async (name: string) => {
    process.chdir(work)
    const { runDir } = await done({ name, optim: { lr: 0.05, epochs: 1, batchSize: 8 } })
    return environments(runDir)[0].git
  }
  expect(await environment('no-repository')).toBeNull()
  git('init', '-q')
  expect(await environment('no-commit')).toBeNull()
  writeFileSync(join(work, 'a'), '1')
  git('add', 'a')
  git('commit', '-qm', 'a')
  writeFileSync(join(work, 'untracked'), '1')
  const commit = git('rev-parse', 'HEAD').trim()
  expect(await environment('clean')).toEqual({ commit, dirty: false })
  writeFileSync(join(work, 'a'), '2')
  expect(await environment('dirty')).toEqual({ commit, dirty: true })
  const { PATH } = process.env
  process.env.PATH = join(folder, 'nowhere')
  try {
    expect(await environment('no-git')).toBeNull()
  } finally {
    process.env.PATH = PATH
  }
})

test.each([
  ['environment.json', 'not a list'],
  ['environment.json', '{"a": 1}'],
])('an %s that holds %j is kept, and the run does not begin', async (name, text) => {
  const first = await done(
    { ...long, name: 'damaged' },
    { until: (event) => event.type === 'progress' },
  )
  writeFileSync(join(first.runDir, name), text)
  const { error } = await done({ ...long, name: 'damaged' }, { resume: first.runDir })
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringContaining(name) })
  expect(readFileSync(join(first.runDir, name), 'utf8')).toBe(text)
})

test.each([
  ['metrics.csv', (event: RunEvent) => event.type === 'progress' && event.step === 5],
  ['tfevents', (event: RunEvent) => event.type === 'start'],
] as const)(
  'a disk without room for %s fails the run, as one without it for metrics.jsonl',
  async (file, when) => {
    let runDir = ''
    const fill = (event: RunEvent) => {
      if (event.type === 'start') runDir = event.runDir
      if (!when(event)) return false
      const [curves = ''] = eventFiles(runDir)
      const path = join(runDir, file === 'tfevents' ? join('tensorboard', curves) : file)
      rmSync(path)
      symlinkSync('/dev/full', path)
      return false
    }
    const { error } = await done({ ...long, name: 'full' }, { until: fill })
    const message = expect.stringMatching(`${file}.* cannot be written: the disk is full`)
    expect(error).toMatchObject({ code: 'E_IO', message })
    expect(readdirSync(runDir)).toEqual(expect.arrayContaining(['best', 'last', 'report']))
  },
)
