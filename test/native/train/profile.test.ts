// Where a step's time goes: the calls of what the architecture says, times that add up to the step,
// and a step like any other.

import { expect, test } from 'vitest'
import { type NativeTrainer, native, type OperatorTime } from '../../../lib/binding.js'
import { mcLossConfig, toyTrainer, wholeBatch } from '../../support/formula-batch.js'

const options = { step: 0, seed: 1, lr: 0.01 }
const batch = wholeBatch(6, 32, 5)

function trainerOf(backbone: string, loss?: typeof mcLossConfig): Promise<NativeTrainer> {
  const config = toyTrainer()
  return native().NativeTrainer.create({
    ...config,
    model: { ...config.model, backbone },
    ...(loss && { loss }),
  })
}

const callsOf = (times: OperatorTime[], name: string) =>
  times.find((time) => time.name === name)?.calls ?? 0

const convolutionsOf = (times: OperatorTime[]) =>
  callsOf(times, 'aten::convolution') + callsOf(times, 'mcloss::winograd_conv_forward')

// ResNet-18: 1 + 4 stages * 2 blocks * 2, and 3 on shortcuts (He et al. 2016, table 1); 3x3 with
// stride 1: all but the first one and, in three stages, the first and the shortcut's. toy: 3, the last
// of them with 16 channels and more on both sides.
test.each([
  ['resnet18', 20, 13],
  ['toy', 3, 1],
])('%s has %i convolutions, %i of them ours, forward and backward', async (backbone, all, ours) => {
  const trainer = await trainerOf(backbone)
  const shares: number[] = [] // of the call's wall time that is in an operator or mcloss::step
  // On a busy machine calls wait to be answered, so more are made until one did not.
  for (let step = 0; step < 5 || (step < 500 && Math.max(...shares) <= 0.5); step++) {
    const began = performance.now()
    const times = await trainer.profile(batch, { ...options, step })
    const wall = performance.now() - began
    expect(callsOf(times, 'aten::convolution')).toBe(all - ours)
    expect(callsOf(times, 'aten::convolution_backward')).toBe(all - ours)
    expect(callsOf(times, 'mcloss::winograd_conv_forward')).toBe(ours)
    expect(callsOf(times, 'mcloss::winograd_conv_backward')).toBe(ours)
    expect(callsOf(times, 'mcloss::step')).toBe(1)
    const own = times.map(({ selfMs }) => selfMs)
    expect(Math.min(...own)).toBeGreaterThanOrEqual(0)
    expect(own).toEqual([...own].sort((a, b) => b - a))
    shares.push(own.reduce((all, ms) => all + ms, 0) / wall)
  }
  expect(Math.max(...shares)).toBeLessThanOrEqual(1)
  expect(Math.max(...shares)).toBeGreaterThan(0.5)
  await trainer.dispose()
})

test('micro-batches and the MC-Loss show as calls', async () => {
  const trainer = await trainerOf('toy', mcLossConfig)
  const times = await trainer.profile(batch, { ...options, microBatch: 2 })
  expect(convolutionsOf(times)).toBe(9)
  expect(times.filter(({ name }) => /^mcloss::mc_loss/.test(name)).length).toBeGreaterThan(0)
  await trainer.dispose()
})

test('a profiled step trains as one that is not', async () => {
  const [plain, profiled] = await Promise.all([trainerOf('toy'), trainerOf('toy')])
  await plain.step(batch, options)
  await profiled.profile(batch, options)
  expect(await profiled.predict(batch)).toEqual(await plain.predict(batch))
  expect((await profiled.stats()).steps).toBe(1)
  await Promise.all([plain.dispose(), profiled.dispose()])
})

test('trainers side by side are counted apart, and a failed step spoils no later count', async () => {
  const [one, other] = await Promise.all([trainerOf('toy'), trainerOf('resnet18')])
  const wrong = { ...batch, labels: new Int32Array(6).fill(5) }
  await expect(one.profile(wrong, options)).rejects.toMatchObject({ code: 'E_ARGUMENT' })
  const busy = [other.step(batch, options), other.profile(batch, { ...options, step: 1 })] as const
  const times = await one.profile(batch, options)
  expect(convolutionsOf(times)).toBe(3)
  expect(callsOf(times, 'mcloss::step')).toBe(1)
  expect(convolutionsOf(await busy[1])).toBe(20)
  await Promise.all([one.dispose(), other.dispose()])
})
