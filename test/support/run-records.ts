// A run folder as a run leaves it, written without training: its figures follow from formulas.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'

export interface RecordsOptions {
  classes: readonly string[]
  epochs: number
  /** Of the configuration; fewer done: the run was stopped. */
  planned?: number
  /** In steps of one. */
  evalEvery?: number
  mistakes?: number
  /** Shifts the figures. */
  shift?: number
  loss?: string
}

export function epochEvent(epoch: number, options: RecordsOptions) {
  const { classes, epochs, planned = epochs, evalEvery = 1, shift = 0 } = options
  const done = (epoch + 1) / epochs
  const figures = (top1: number) => ({
    ...{ loss: 2 - top1, top1, top5: (1 + top1) / 2, meanPerClass: top1 - 0.01 },
    ...{ classes: classes.length, n: 4 * classes.length },
  })
  const isEvaluated = (epoch + 1) % evalEvery === 0 || epoch + 1 === epochs
  return {
    ...{ type: 'epoch', epoch, epochs: planned, step: 10 * (epoch + 1), lr: 0.1 * (1 - done / 2) },
    train: {
      loss: 3 - 2 * done - shift,
      parts: { ce: 2 - done - shift, dis: 1 - done / 2, div: 1 + done / 4 },
      ...{ top1: 0.9 * done + shift, gradNorm: 2, skipped: 0 },
      ...{ imagesPerSecond: 500 + 10 * Math.sin(epoch), dataWait: 0.01 },
    },
    ...(isEvaluated && { test: figures(0.8 * done + shift), ema: figures(0.7 * done + shift) }),
    seconds: 2,
  }
}

/** Returns the run's folder. */
export async function writeRecords(dir: string, options: RecordsOptions): Promise<string> {
  const { classes, epochs, planned = epochs, mistakes = 6, loss = 'mc' } = options
  const write = (name: string, value: unknown) => {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value))
  }
  const root = join(dir, 'birds')
  const paths = await writePictures(root, classes)
  write('config.json', {
    ...{ seed: 0, name: 'made', data: { name: 'csv', root }, model: { backbone: 'toy' } },
    ...{ loss: { name: loss }, optim: { lr: 0.1, epochs: planned } },
  })
  write('environment.json', [
    {
      started: '2026-01-02T03:04:05.678Z',
      epoch: 0,
      mcloss: '0.1.0',
      memoryBytes: 16e9,
      gpus: null,
    },
  ])
  const events = [
    { type: 'start', epochs: planned, bestPickedOn: 'test' },
    ...Array.from({ length: epochs }, (_, epoch) => epochEvent(epoch, options)),
    { type: 'checkpoint', kind: 'best', path: '', epoch: epochs - 1, step: 10 * epochs },
    { type: 'warning', message: 'something to <b>warn</b> of' },
  ]
  write('metrics.jsonl', events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  const next = (label: number) => (label + 1) % classes.length
  write(
    'report/per-class.json',
    classes.map((name, label) => ({
      ...{ class: name, n: 4, correct: label % 5, accuracy: (label % 5) / 4 },
      ...{ mostConfusedWith: classes[next(label)], confusedCount: 4 - (label % 5) },
    })),
  )
  const row = (label: number) =>
    classes.map((_, at) => (at === label ? label % 5 : at === next(label) ? 4 - (label % 5) : 0))
  write('report/confusion.json', { classes, counts: classes.map((_, label) => row(label)) })
  write(
    'report/mistakes.json',
    Array.from({ length: mistakes }, (_, at) => ({
      ...{ path: paths[at % paths.length], label: classes[at % classes.length] },
      ...{ predicted: classes[next(at % classes.length)] },
      ...{ probability: 0.99 - at / 1000, labelProbability: 0.005 },
    })),
  )
  return dir
}

/** One test picture of each class, in the layout of data.name csv. */
async function writePictures(root: string, classes: readonly string[]): Promise<string[]> {
  mkdirSync(root, { recursive: true })
  const rows = classes.map((name, at) => `${at}.jpg,"${name.replaceAll('"', '""')}",test\n`)
  writeFileSync(join(root, 'list.csv'), `path,class,split\n${rows.join('')}`)
  const paths = classes.map((_, at) => join(root, `${at}.jpg`))
  const jpeg = (at: number) => noise(at).jpeg().toBuffer()
  for (const [at, path] of paths.entries()) writeFileSync(path, await jpeg(at % 20))
  return paths
}

/** A picture that compresses as badly as a photograph. */
function noise(seed: number) {
  const bytes = Buffer.alloc(200 * 150 * 3)
  let state = seed + 1
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[at] = 128 + 64 * Math.sin(at / 500 + seed) + (state >>> 27)
  }
  return sharp(bytes, { raw: { width: 200, height: 150, channels: 3 } })
}
