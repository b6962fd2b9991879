// deterministic: true gives the same weights, bit for bit, in every run with the same number of
// threads, and one bit of the seed gives others.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { temporaryFolder } from '../../support/small-birds.js'

const folder = temporaryFolder()
const batch = wholeBatch(8, 32, 5)
const { settings } = toyTrainer()
let saved = 0
afterAll(() => rmSync(folder, { recursive: true }))

/** The hash of weights and velocities after a few steps from the same initial weights. */
async function hashOfRun(seed: number): Promise<string> {
  const trainer = await native().NativeTrainer.create(
    toyTrainer({
      loss: { ...mcLossConfig, maskScope: 'sample' },
      threads: 2,
      settings: { ...settings, cudnnBenchmark: false, deterministic: true },
    }),
  )
  for (let step = 0; step < 3; step++) await trainer.step(batch, { step, seed, lr: 0.05 })
  expect(await trainer.stats()).toMatchObject({ steps: 3, skipped: 0, warnings: [] })
  const path = join(folder, `${saved++}`)
  mkdirSync(path)
  await trainer.save(path, {})
  await trainer.dispose()
  const hash = createHash('sha256')
  for (const file of ['model', 'optimizer']) {
    hash.update(readFileSync(join(path, `${file}.safetensors`)))
  }
  return hash.digest('hex')
}

test('20 runs of 20 end with the same bits; another seed, 1 bit away, with others', async () => {
  const first = await hashOfRun(6)
  for (let run = 1; run < 20; run++) expect(await hashOfRun(6), `run ${run}`).toBe(first)
  expect(await hashOfRun(7)).not.toBe(first)
})
