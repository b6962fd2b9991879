// Every example runs as it stands, on a small set.

import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import { defineConfig } from '../../lib/config/index.js'
import { openDataset } from '../../lib/data/datasets/index.js'
import type { Prediction } from '../../lib/predict/each.js'
import { predict } from '../../lib/predict/inference.js'
import { temporaryFolder, toyConfig } from '../support/small-birds.js'
import { writeModel } from '../support/untrained-model.js'

const folder = temporaryFolder()
const argv = process.argv
const log = vi.spyOn(console, 'log')
const cwd = vi.spyOn(process, 'cwd').mockReturnValue(folder)

afterEach(() => {
  process.argv = argv
  log.mockClear()
})

async function runExample(name: string, ...args: string[]) {
  process.argv = [argv[0] ?? 'node', name, ...args]
  await import(`../../examples/${name}.ts`)
  return log.mock.calls
}

const birds = join(folder, 'birds')

test('train', async () => {
  const lines = await runExample('train', birds, '1')
  expect(lines).toHaveLength(2)
  expect(lines[0]?.[0]).toBe(0)
  expect(lines[0]?.[1]).toBeGreaterThan(0)
})

test('own-schedule: the rate of every step is the function of the step', async () => {
  const lines = await runExample('own-schedule', birds, '1')
  for (const [step, lr] of lines) {
    expect(lr).toBeCloseTo(0.02 / Math.sqrt(1 + (Number(step) - 1) / 100), 12)
  }
})

test('own-loop', async () => {
  const lines = await runExample('own-loop', birds, '2')
  expect(lines.map(([epoch]) => epoch)).toEqual([0, 1])
  expect(lines[1]?.[1]).toBeLessThan(lines[0]?.[1])
})

test('own-dataset', async () => {
  const root = join(folder, 'own')
  mkdirSync(root)
  const { data } = defineConfig(toyConfig(root))
  const { train, test: held } = await openDataset(data)
  const list = (samples: typeof train) =>
    samples.map(({ path, label }) => `${path.slice(root.length + 1)} ${label}`).join('\n')
  writeFileSync(join(root, 'train.txt'), list(train))
  writeFileSync(join(root, 'test.txt'), list(held))
  const lines = await runExample('own-dataset', root, '1')
  expect(lines[0]?.[0]).toMatch(/top-1 [\d.]+ of 15/)
  expect(cwd).toBeDefined()
})

test('worker: the answers of predict, and what is wrong with a file', async () => {
  const weights = await writeModel(join(folder, 'model'))
  const { data } = defineConfig(toyConfig(join(folder, 'worker')))
  const path = (await openDataset(data)).test[0]?.path ?? ''
  const [prediction] = await predict([path], { weights, top: 1 })
  const { class: name, probability = 0 } = (prediction as Prediction).top[0] ?? {}
  const script = join(import.meta.dirname, '../../examples/worker/main.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [script, weights, path, script])
  expect(stdout.split('\n')).toEqual([
    `${path} ${name} ${probability.toFixed(3)}`,
    expect.stringMatching(/^\S+main.mjs images: .* of another format/),
    '',
  ])
})

test("README's training script", async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const [, script = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? []
  const here = join(folder, 'readme')
  mkdirSync(here)
  const file = join(here, 'script.ts')
  writeFileSync(file, script)
  cwd.mockRestore()
  const before = process.cwd()
  process.chdir(here)
  try {
    await import(file)
  } finally {
    process.chdir(before)
  }
  const lines = log.mock.calls
  expect(lines.slice(0, 5).map(([epoch]) => epoch)).toEqual([0, 1, 2, 3, 4])
  expect(existsSync(join(String(lines[5]?.[0]), 'model.safetensors'))).toBe(true)
})
