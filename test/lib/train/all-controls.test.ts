// A run with every control of fine-tuning: resumed at any step it is the whole run to the bit, and it does
// not depend on decoders or stores.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { computed, stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const optim = {
  ...{ lr: 0.01, headLr: 0.02, epochs: 2, batchSize: 8, gradAccumSteps: 2 },
  ...{ name: 'adamw', betas: [0.8, 0.99], eps: 1e-7, weightDecay: 0.1, decayNormAndBias: false },
  ...{ clipGradNorm: 3, freezeBackboneEpochs: 1, ema: { decay: 0.6, warmupSteps: 1 } },
}

/** 10 training images of each of 3 classes, of which 8 are trained on: 3 steps an epoch. */
const config = (name: string, more: object = {}) => {
  const { data, model, ...rest } = toyConfig(folder, { name, best: { of: 'ema' } })
  const all = { trainPerClass: 10, validation: 0.2, classWeights: [1, 2, 3], randomErasing: 0.5 }
  return defineConfig({
    ...rest,
    data: { ...data, ...all, ...more },
    model: { ...model, freezeBatchNorm: true },
    loss: { name: 'mc', alpha: 1.5, beta: 2, labelSmoothing: 0.1 },
    optim,
  } as ConfigInput)
}

let whole: ReturnType<typeof computed>
beforeAll(async () => {
  whole = computed((await train(config('whole')).result).runDir)
})

test.each([1, 2, 3, 4, 5, 6])('resumed after step %i', async (step) => {
  const name = `to-${step}`
  const runDir = await stoppedIn('step', step, config(name))
  const state = JSON.parse(readFileSync(join(runDir, 'last/state.json'), 'utf8'))
  expect(state).toMatchObject({ step, epoch: step > 3 ? 1 : 0 })
  await train(config(name), { resume: runDir }).result
  expect(computed(runDir)).toEqual(whole)
})

test.each([
  { decoders: 1, store: 'off' },
  { decoders: 4, store: 'off' },
  { decoders: 1, store: 'mmap' },
  { decoders: 4, store: 'ram' },
])('$decoders decoders, store $store: the same run', async (more) => {
  const { runDir } = await train(config(`decoders-${more.decoders}-${more.store}`, more)).result
  expect(computed(runDir)).toEqual(whole)
})
