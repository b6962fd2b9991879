// evaluate's counts, its cross entropy and predictions are those of predict's logits.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import { toyTrainer, wholeBatch } from '../../support/formula-batch.js'
import { loadFormulaWeights } from '../../support/formula-weights.js'
import { numbersOf, type PlainTensor, plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

test('evaluate agrees with the logits, and changes nothing', async () => {
  const folder = temporaryFolder()
  const { model } = toyTrainer()
  const numClasses = 8
  const trainer = await native().NativeTrainer.create(
    toyTrainer({ model: { ...model, numClasses } }),
  )
  await loadFormulaWeights(trainer, folder)
  rmSync(folder, { recursive: true })
  const batch = wholeBatch(12, 32, numClasses)
  const logits = await trainer.predict(batch)
  const stats = await trainer.evaluate(batch)

  const wanted = { n: 12, top1: 0, top5: 0, lossSum: 0, predictions: [] as number[] }
  for (const [n, label] of batch.labels.entries()) {
    const row = [...logits.subarray(n * numClasses, (n + 1) * numClasses)]
    const own = row[label] as number
    const rank = row.filter((value) => value > own).length
    wanted.top1 += rank < 1 ? 1 : 0
    wanted.top5 += rank < 5 ? 1 : 0
    wanted.lossSum += Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - own
    wanted.predictions.push(row.indexOf(Math.max(...row)))
    const sum = row.reduce((total, value) => total + Math.exp(value), 0)
    expect(stats.predictedProbabilities[n]).toBeCloseTo(Math.exp(Math.max(...row)) / sum, 6)
    expect(stats.labelProbabilities[n]).toBeCloseTo(Math.exp(own) / sum, 6)
  }
  expect(wanted.top5).toBeGreaterThan(wanted.top1)
  expect(wanted.top5).toBeLessThan(12)
  expect([...stats.predictions]).toEqual(wanted.predictions)
  expect(stats).toMatchObject({ n: 12, top1: wanted.top1, top5: wanted.top5 })
  expect(Math.abs(stats.lossSum / wanted.lossSum - 1)).toBeLessThan(1e-5)

  expect(await trainer.predict(batch)).toEqual(logits)
  expect(await trainer.stats()).toMatchObject({ steps: 0, n: 0, loss: 0 })
  await trainer.dispose()
})

test('features are the maps of the channels asked for', async () => {
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const batch = wholeBatch(3, 32, 5)
  const all = await trainer.features(batch, { channels: Array.from({ length: 32 }, (_, c) => c) })
  const two = await trainer.features(batch, { channels: [30, 7] })
  expect(all.shape).toEqual([3, 32, 8, 8])
  expect(two.shape).toEqual([3, 2, 8, 8])
  const map = (n: number, channel: number) =>
    all.data.subarray((n * 32 + channel) * 64, (n * 32 + channel + 1) * 64)
  for (let n = 0; n < 3; n++) {
    expect(two.data.subarray(n * 128, n * 128 + 64)).toEqual(map(n, 30))
    expect(two.data.subarray(n * 128 + 64, n * 128 + 128)).toEqual(map(n, 7))
  }
  expect(Math.max(...two.data)).toBeGreaterThan(0)
  await trainer.dispose()
})

test('embed is the input of the last layer: with its weights it gives the logits', async () => {
  const folder = temporaryFolder()
  const trainer = await native().NativeTrainer.create(toyTrainer())
  const batch = wholeBatch(3, 32, 5)
  const { embedding, logits } = await trainer.embed(batch)
  expect(logits).toEqual(await trainer.predict(batch))
  await trainer.save(folder, {})
  await trainer.dispose()
  const { tensors } = plainRead(join(folder, 'model.safetensors'))
  rmSync(folder, { recursive: true })
  const values = (name: string) => numbersOf(tensors.get(name) as PlainTensor)
  const [weight, bias] = [values('head.fc2.weight'), values('head.fc2.bias')]
  expect(weight).toHaveLength(5 * 32)
  expect(embedding).toHaveLength(3 * 32)
  for (const [at, logit] of logits.entries()) {
    const [n, k] = [Math.floor(at / 5), at % 5]
    const row = embedding.subarray(n * 32, (n + 1) * 32)
    const sum = row.reduce((all, x, d) => all + x * (weight[k * 32 + d] as number), 0)
    expect(logit).toBeCloseTo(sum + (bias[k] as number), 5)
  }
})
