// What a step dispatches does not grow with the number of layers where one operator serves them all.

import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'

type Precision = 'fp32' | 'bf16'

/** Calls by operator of one step. */
async function callsOf(backbone: string, precision: Precision, microBatch = 6) {
  const { model } = toyTrainer()
  const config = toyTrainer({ model: { ...model, backbone, head: 'linear' }, precision })
  const trainer = await native().NativeTrainer.create(config)
  const options = { step: 0, seed: 1, lr: 0.01, microBatch }
  const times = await trainer.profile(wholeBatch(6, 32, 5), options)
  await trainer.dispose()
  const calls = new Map(times.map((time) => [time.name, time.calls]))
  return (name: string) => calls.get(name.includes('::') ? name : `aten::${name}`) ?? 0
}

test('counters of batch norm: one addition', async () => {
  const [few, many] = [await callsOf('toy', 'fp32'), await callsOf('resnet18', 'fp32')]
  // Each of the eight residual blocks adds the gradients of its two ways.
  expect(many('add_') - few('add_')).toBe(8)
})

test('the sums of a step: an operator per micro-batch and one for the step', async () => {
  const calls = await callsOf('toy', 'fp32', 2)
  expect(calls('mcloss::add_batch_sums_')).toBe(3)
  expect(calls('mcloss::add_step_sums_')).toBe(1)
  for (const name of ['argmax', 'isfinite', 'logical_not', 'eq']) expect(calls(name), name).toBe(0)
})

test('weights under autocast: one cast a step, one of their gradients per micro-batch', async () => {
  const casts = async (backbone: string) =>
    (await callsOf(backbone, 'bf16'))('_to_copy') - (await callsOf(backbone, 'fp32'))('_to_copy')
  // 17 more convolutions. On the CPU LibTorch's own take some more copies in bfloat16, fewer than one each.
  expect((await casts('resnet18')) - (await casts('toy'))).toBeLessThan(17)
  expect((await callsOf('toy', 'bf16'))('_foreach_copy_')).toBe(2)
  expect((await callsOf('toy', 'bf16', 2))('_foreach_copy_')).toBe(1 + 3)
})
