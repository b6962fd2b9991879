// What a person sees of a run, on a terminal and in a file.

import { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { createProgress, statusLine } from '../../../lib/cli/progress.js'
import type {
  EpochEvent,
  ProgressEvent,
  RunEvent,
  StartEvent,
  WeightsEvent,
} from '../../../lib/events.js'

const figures = {
  loss: 2.5,
  parts: { ce: 2, dis: 0.5 },
  top1: 0.25,
  gradNorm: 1,
  skipped: 0,
  imagesPerSecond: 31.25,
  dataWait: 0.125,
}
const start: StartEvent = {
  type: 'start',
  runDir: 'runs/birds',
  device: 'cpu',
  precision: 'fp32',
  threads: 2,
  channelsLast: true,
  cudnnBenchmark: true,
  tf32: false,
  deterministic: false,
  cudaGraph: 'auto',
  libtorch: '9.9.9',
  classes: 20,
  trainSamples: 600,
  validationSamples: 0,
  testSamples: 1000,
  bestPickedOn: 'test',
  epochs: 30,
  stepsPerEpoch: 18,
  step: 36,
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.5, 0.5],
  normalisation: 'the configuration',
}
const progress = (overrides: Partial<ProgressEvent> = {}): ProgressEvent => ({
  type: 'progress',
  ...figures,
  epoch: 2,
  epochs: 30,
  step: 46,
  stepInEpoch: 10,
  stepsPerEpoch: 18,
  lr: 0.05,
  etaSeconds: 3725,
  ...overrides,
})
const epoch: EpochEvent = {
  type: 'epoch',
  epoch: 2,
  epochs: 30,
  step: 54,
  lr: 0.05,
  train: figures,
  test: { loss: 1.75, top1: 0.5, top5: 0.875, meanPerClass: 0.625, classes: 40, n: 1000 },
  seconds: 12.5,
}

/** Collects what is written; says it is a terminal to whoever asks. */
class Screen extends Writable {
  text = ''
  readonly isTTY = true

  constructor(readonly columns = 200) {
    super()
  }

  override _write(chunk: Buffer, _: string, done: () => void) {
    this.text += chunk
    done()
  }
}

function shown(events: RunEvent[], isTty: boolean): string {
  const screen = new Screen()
  const progress = createProgress(screen, isTty)
  for (const event of events) progress.show(event)
  progress.close()
  return screen.text
}

test('not a terminal: plain lines with the figures of the events', () => {
  const text = shown([start, progress(), epoch], false)
  expect(stripVTControlCharacters(text)).toBe(text)
  const lines = text.trimEnd().split('\n')
  expect(lines.slice(0, 3).join('\n')).toMatch(/runs\/birds.*20 classes.*cpu.*9\.9\.9.*step 36/s)
  expect(lines[3]).toBe('channelsLast on, deterministic off')
  for (const word of [
    'epoch 3/30',
    'step 10/18',
    '31.3 images/s',
    'data wait 12.5 %',
    'ETA 1:02:05',
  ])
    expect(lines[4]).toContain(word)
  expect(lines[4]).toContain('loss 2.500 (ce 2.000, dis 0.500)')
  for (const word of ['epoch 3/30', 'loss 2.500', 'loss 1.750', '50.0 %', '87.5 %', '12.5 s'])
    expect(lines[5]).toContain(word)
  expect(lines).toHaveLength(6)
})

test('whose mean and std they are, and what was taken of the weights, a few names of each', () => {
  expect(shown([start], false)).toContain(
    'images; mean 0.5 0.5 0.5, std 0.25 0.5 0.5 (the configuration)\n',
  )
  const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i}.weight`)
  const weights: WeightsEvent = {
    type: 'weights',
    ...{ path: '/w/a\u001b.pth', name: 'resnet50.tv_in1k', bytes: 9, sha256: 'ab12' },
    ...{ format: 'torch-zip', wrapper: null, prefix: 'module.', part: 'backbone' },
    ...{ taken: names(318), leftOut: ['fc.weight', 'fc.bias'], initialised: names(22) },
    changes: ['Every name began with "module.", which was left out.'],
  }
  expect(shown([weights], false).split('\n')).toEqual([
    'weights /w/a\\x1b.pth (resnet50.tv_in1k, SHA-256 ab12)',
    '  taken: 318 tensors of the backbone',
    '  left out: fc.weight, fc.bias',
    `  initialised: ${names(20).join(', ')} and 2 more`,
    '  Every name began with "module.", which was left out.',
    '',
  ])
})

test('on a GPU the settings that matter there are shown too', () => {
  expect(shown([{ ...start, device: 'cuda', deterministic: true }], false)).toContain(
    '\nchannelsLast on, deterministic on, cudnnBenchmark on, tf32 off, cudaGraph auto\n',
  )
})

test('an epoch without an evaluation, steps that were skipped, warnings, checkpoints', () => {
  const { test: _, ...trained } = epoch
  expect(shown([trained], false)).not.toContain('test')
  expect(shown([progress({ skipped: 2 })], false)).toContain('2 steps skipped')
  expect(shown([progress()], false)).not.toContain('skipped')
  expect(shown([{ type: 'warning', message: 'few epochs' }], false)).toBe('warning: few epochs\n')
  const saved = (kind: 'best' | 'last' | 'abort') =>
    shown([{ type: 'checkpoint', kind, path: 'runs/x', epoch: 0, step: 1 }], false)
  expect(saved('abort')).toContain('runs/x')
  expect(saved('best')).toContain('runs/x')
  expect(saved('last')).toBe('')
})

test.each([
  [0, 'ETA 0:00'],
  [59.6, 'ETA 1:00'],
  [3599, 'ETA 59:59'],
  [Number.NaN, 'ETA -'],
])('%d seconds: %s', (etaSeconds, text) => {
  expect(shown([progress({ etaSeconds })], false)).toContain(text)
})

test('on a terminal progress is a bar that is gone before the next line', () => {
  const text = shown([start, progress(), epoch], true)
  const bar = text.slice(text.indexOf('from step 36'), text.indexOf('train loss'))
  for (const word of ['epoch 3/30 step 10/18', '31.3 images/s', 'data wait 12.5 %', 'ETA', 'loss'])
    expect(bar).toContain(word)
  const cleared = text.lastIndexOf('\u001b[2K')
  expect(cleared).toBeGreaterThan(text.lastIndexOf('step 10/18'))
  expect(cleared).toBeLessThan(text.indexOf('train loss'))
})

test('a bar that nobody clears (an error) does not keep the process alive', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  shown([progress()], true)
  expect(timers()).toBe(before)
})

test('a store that is built: a line each tenth in a file, one line in place on a terminal', () => {
  const prepared = (done: number): RunEvent => ({
    type: 'prepare',
    split: 'train',
    done,
    total: 40,
    seconds: 2,
  })
  const events = [1, 2, 4, 5, 7, 40].map(prepared)
  expect(shown(events, false)).toBe(
    'decoding train  4/40 images  2.0 images/s\n' + 'decoded train  40/40 images  20.0 images/s\n',
  )
  expect(shown([1, 40].map(prepared), true)).toBe(
    `\r\x1b[2Kdecoding train ${'░'.repeat(20)} 1/40 images  0.5 images/s` +
      '\r\x1b[2Kdecoded train  40/40 images  20.0 images/s\n',
  )
})

test('the line of a terminal is no wider than it, and not written more than five times a second', () => {
  const screen = new Screen(20)
  const status = statusLine(screen)
  status.clear()
  expect(screen.text).toBe('')
  for (let i = 0; i < 3; i++) status.show(`${i} ${'x'.repeat(30)}`)
  expect(screen.text).toBe(`\r\x1b[2K0 ${'x'.repeat(17)}`)
  status.clear()
  status.show('after')
  expect(screen.text.endsWith('\r\x1b[2K\r\x1b[2Kafter')).toBe(true)
})

test('figures that are not finite are shown as none, with the steps that were skipped', () => {
  const none = { loss: Number.NaN, parts: { ce: Number.NaN }, top1: Number.NaN, skipped: 10 }
  const diverged = {
    loss: Number.NaN,
    top1: 0.5,
    top5: Number.NaN,
    meanPerClass: 0.5,
    classes: 3,
    n: 9,
  }
  const text = shown(
    [progress(none), { ...epoch, train: { ...figures, ...none }, test: diverged }],
    false,
  )
  expect(text).not.toMatch(/NaN/)
  expect(text).toContain('loss - (ce -)')
  expect(text).toContain('train loss - top-1 -  test loss - top-1 50.0 % top-5 -')
  expect(text.match(/10 steps skipped/g)).toHaveLength(2)
})

test('a terminal that does not say how wide it is has 80 columns', () => {
  const written: string[] = []
  const output = Object.assign(new Writable(), { columns: 0 })
  output._write = (chunk, _, done) => {
    written.push(stripVTControlCharacters(String(chunk)).trim())
    done()
  }
  statusLine(output).show('x'.repeat(200))
  expect(written).toEqual(['x'.repeat(79)])
})
