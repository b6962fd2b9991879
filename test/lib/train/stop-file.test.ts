// RUN/stop: a run that is asked to end by a file is saved, and goes on to the same bits.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { defineConfig } from '../../../lib/config/index.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const cli = join(import.meta.dirname, '../../../dist/cli/main.js')
const toy = (name: string, epochs = 2) => {
  return toyConfig(folder, { name, optim: { lr: 0.05, epochs, batchSize: 8 } })
}
const isThere = (runDir: string) => existsSync(join(runDir, 'stop'))
const eventsIn = (runDir: string) =>
  readFileSync(join(runDir, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('a run that the file ends within an epoch goes on to the bits of the whole run', async () => {
  const whole = await train(defineConfig(toy('whole'))).result
  const config = defineConfig(toy('parts'))
  const runDir = await stoppedIn('step', 2, config, async (runDir) => {
    writeFileSync(join(runDir, 'stop'), '')
    await setTimeout(600)
  })
  // Two steps are in flight while the file is seen.
  expect(eventsIn(runDir).at(-1)).toMatchObject({ type: 'checkpoint', kind: 'abort', epoch: 0 })
  expect(isThere(runDir)).toBe(false)

  writeFileSync(join(runDir, 'stop'), '') // of an earlier run
  const { last } = await train(config, { resume: runDir }).result
  expect(last.epoch).toBe(1)
  expect(isThere(runDir)).toBe(false)
  expect(computed(runDir)).toEqual(computed(whole.runDir))
})

test('mcloss train that the file ends says where the run is saved, and exits with 0', async () => {
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify(toy('asked', 10_000)))
  const child = spawn(process.execPath, [cli, 'train', file])
  let errors = ''
  child.stderr.on('data', (data) => {
    errors += data
  })
  child.stdout.resume()
  const ended = new Promise((settle) => child.on('close', settle))
  const runDir = join(folder, 'runs/asked')
  await vi.waitFor(() => expect(existsSync(join(runDir, 'last'))).toBe(true), 60_000)
  writeFileSync(join(runDir, 'stop'), '')
  expect(await ended).toBe(0)
  expect(errors).toContain(`Go on with: mcloss train --resume ${runDir}`)
  expect(isThere(runDir)).toBe(false)
})
