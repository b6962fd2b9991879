// data.classWeights: the rule and the list, what is refused before work starts, and a whole run with them.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import { classWeightsOf } from '../../../lib/train/class-weights.js'
import { train } from '../../../lib/train/train.js'
import { Trainer } from '../../../lib/train/trainer.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'
import { stoppedIn } from '../../support/stopped-runs.js'

const folder = temporaryFolder()
const classes = ['a', 'b', 'c']
const samplesOf = (...counts: number[]) => ({
  classes,
  train: counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, n) => ({ path: `/${label}/${n}.png`, label })),
  ),
})

test('balanced is n / (K n_k), as scikit-learn has it', () => {
  // sklearn.utils.class_weight.compute_class_weight('balanced', classes=[0, 1, 2], y=...)
  expect(classWeightsOf('balanced', samplesOf(1, 2, 5))).toEqual([
    2.6666666666666665, 1.3333333333333333, 0.5333333333333333,
  ])
  expect(classWeightsOf('balanced', samplesOf(4, 4, 4))).toEqual([1, 1, 1])
  expect(classWeightsOf('none', samplesOf(1, 2, 5))).toBeUndefined()
})

test('a list has the mean 1 over the training images, whatever its size', () => {
  // (1 * 4 + 2 * 1 + 5 * 0.4) / 8 = 1
  expect(classWeightsOf([4, 1, 0.4], samplesOf(1, 2, 5))).toEqual([4, 1, 0.4])
  expect(classWeightsOf([400, 100, 40], samplesOf(1, 2, 5))).toEqual([4, 1, 0.4])
  expect(classWeightsOf([1, 0, 0], samplesOf(1, 2, 5))).toEqual([8, 0, 0])
})

const config = (classWeights: unknown, rest: Partial<ConfigInput> = {}) => {
  const input = toyConfig(folder, rest)
  return { ...input, data: { ...input.data, classWeights } } as ConfigInput
}

test.each<[string, unknown, string]>([
  ['a short list', [1, 2], '3 numbers, one for each class'],
  ['a long list', [1, 2, 3, 4], '3 numbers, one for each class'],
  ['a negative weight', [1, 2, -1], 'data.classWeights'],
  ['NaN', [1, Number.NaN, 1], 'data.classWeights'],
  ['infinity', [1, Number.POSITIVE_INFINITY, 1], 'data.classWeights'],
  ['all zero', [0, 0, 0], 'data.classWeights'],
  ['nothing', [], 'data.classWeights'],
  ['another word', 'auto', 'data.classWeights'],
  ['a mean past the largest number', [1e308, 1e308, 1e308], 'a finite number above 0'],
])('%s is refused before work starts', async (name, given, words) => {
  const input = config(given, { name: `refused ${name}`.replaceAll(' ', '-') })
  await expect(train(input).result).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringContaining(words),
  })
  expect(existsSync(join(folder, 'runs'))).toBe(false)
})

test('a class without training images', () => {
  expect(() => classWeightsOf('balanced', samplesOf(3, 0, 2))).toThrowError(
    expect.objectContaining({ code: 'E_DATA', message: expect.stringContaining('"b" has none') }),
  )
  expect(() => classWeightsOf([0, 1, 0], samplesOf(3, 0, 2))).toThrowError(
    expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining('received 0') }),
  )
})

test('a trainer without a run takes a list as it stands, and no rule', async () => {
  await (await Trainer.create(config([2, 4, 6]), 3)).dispose()
  for (const given of ['balanced', [1, 2]]) {
    await expect(Trainer.create(config(given), 3)).rejects.toMatchObject({ code: 'E_CONFIG' })
  }
})

/** Eight, four and two training images. */
async function unbalanced(classWeights: unknown, name: string): Promise<ConfigInput> {
  const whole = await openDataset(defineConfig(toyConfig(folder)).data)
  const kept = [8, 4, 2]
  const samples = whole.train.filter(({ label }, at, all) => {
    const earlier = all.slice(0, at).filter((other) => other.label === label).length
    return earlier < (kept[label] as number)
  })
  const { resize, padding } = toyConfig(folder).data
  const dataset = { classes: whole.classes, train: samples, test: whole.test }
  const optim = { lr: 0.05, epochs: 2, batchSize: 4, gradAccumSteps: 2 }
  return {
    ...toyConfig(folder, { name, optim }),
    data: { dataset, resize, padding, classWeights },
  } as ConfigInput
}

test('a run trains with them, records them, and goes on with them', async () => {
  const expected = [14 / (3 * 8), 14 / (3 * 4), 14 / (3 * 2)]
  const plain = await train(await unbalanced('none', 'plain')).result
  const whole = await train(await unbalanced('balanced', 'balanced')).result
  const list = await train(await unbalanced(expected, 'list')).result
  expect(whole.last.loss).not.toBe(plain.last.loss)
  expect(list.last.loss).toBeCloseTo(whole.last.loss, 4)
  const lines = (runDir: string) => readFileSync(join(runDir, 'metrics.jsonl'), 'utf8').split('\n')
  const recorded = (runDir: string) =>
    lines(runDir).filter((line) => line.includes('"type":"class-weights"'))
  expect(recorded(plain.runDir)).toEqual([])
  const [line] = recorded(whole.runDir)
  expect(JSON.parse(line as string)).toMatchObject({ weights: expected })

  const input = defineConfig(await unbalanced('balanced', 'stopped'))
  const { last } = await train(input, { resume: await stoppedIn('step', 1, input) }).result
  expect(last.loss).toBe(whole.last.loss)
})
