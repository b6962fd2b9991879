// The demo: the drawn birds, trained with cross entropy and with MC-Loss, side by side. Its two
// configurations are the ones bench/demo-seeds measures over seeds.

import { type Config, defineConfig } from './config/index.js'
import type { RunEvent, TestFigures } from './events.js'
import { train } from './train/train.js'

export type DemoLoss = 'ce' | 'mc'

export interface DemoOptions {
  /** Where the drawn images go. */
  root: string
  /** Where the run folders go. */
  out: string
  seed: number
  threads?: number
  epochs?: number
}

/** The demo's configuration for one loss. docs/results/when-mc-helps.md has this rate and length over five seeds. */
export function demoConfig(loss: DemoLoss, options: DemoOptions): Config {
  return defineConfig({
    seed: options.seed,
    out: options.out,
    ...(options.threads && { threads: options.threads }),
    data: {
      name: 'drawn-birds',
      root: options.root,
      classes: 60,
      trainPerClass: 15,
      testPerClass: 20,
      size: 96,
      resize: 96,
      crop: 96,
      padding: 4,
    },
    model: { backbone: 'vgg-small', head: 'two-layer', channelsPerClass: 3 },
    loss:
      loss === 'ce'
        ? { name: 'cross-entropy' }
        : { name: 'mc', alpha: 1.5, beta: 2, keep: 'ceil-half' },
    optim: { lr: 0.05, epochs: options.epochs ?? 42, batchSize: 32 },
    evalEvery: 6,
    checkpointEvery: 42,
  })
}

export interface DemoRow {
  loss: DemoLoss
  trainLoss: number
  test: TestFigures
  seconds: number
  runDir: string
}

/** Trains both losses, one after the other. */
export async function* runDemo(
  options: DemoOptions,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, DemoRow[]> {
  const rows: DemoRow[] = []
  for (const loss of ['ce', 'mc'] as const) {
    const began = performance.now()
    const run = train(demoConfig(loss, options), signal ? { signal } : {})
    let trainLoss = Number.NaN
    for await (const event of run) {
      if (event.type === 'epoch') trainLoss = event.train.loss
      yield event
    }
    const { last, runDir } = await run.result
    rows.push({ loss, trainLoss, test: last, seconds: (performance.now() - began) / 1000, runDir })
  }
  return rows
}
