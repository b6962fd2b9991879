// Runs that are stopped at a chosen place, and what a run computed.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type NativeTrainerConfig, native } from '../../lib/binding.js'
import type { Config } from '../../lib/config/index.js'
import { train } from '../../lib/train/train.js'
import { plainRead } from './safetensors-files.js'

/**
 * A run stopped within the `count`-th call of its trainer's `method`; its folder. `ask` stops it in another
 * way than by its signal, before that call goes on.
 */
export async function stoppedIn(
  method: 'step' | 'evaluate',
  count: number,
  config: Config,
  ask?: (runDir: string) => Promise<void>,
) {
  const addon = native()
  const { NativeTrainer } = addon
  const abort = new AbortController()
  const runDir = join(config.out, config.name as string)
  const create = async (settings: NativeTrainerConfig) => {
    const trainer = await NativeTrainer.create(settings)
    const call = trainer[method].bind(trainer) as (...args: unknown[]) => Promise<unknown>
    let calls = 0
    const value = (...args: unknown[]) => {
      if (++calls !== count) return call(...args)
      if (ask) return ask(runDir).then(() => call(...args))
      abort.abort()
      return call(...args)
    }
    return Object.defineProperty(trainer, method, { value })
  }
  addon.NativeTrainer = { create }
  try {
    const run = train(config, { signal: abort.signal })
    await expect(run.result).rejects.toMatchObject({ code: 'E_ABORTED' })
  } finally {
    addon.NativeTrainer = NativeTrainer
  }
  return runDir
}

/** To the last bit: its tensors and each epoch's figures, without the times. */
export function computed(runDir: string) {
  const last = join(runDir, 'last')
  const files = readdirSync(last).filter((name) => name.endsWith('.safetensors'))
  const lines = readFileSync(join(runDir, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const epochs = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'epoch')
  const figures = epochs.map(({ seconds, time, train, ...rest }) => {
    const { imagesPerSecond, dataWait, ...exact } = train
    return { ...rest, train: exact }
  })
  const tensors = files.map((name) => [name, plainRead(join(last, name)).tensors] as const)
  return { tensors: new Map(tensors), figures }
}
