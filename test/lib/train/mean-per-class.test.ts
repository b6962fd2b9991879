// Mean per-class accuracy in runs and evaluations, and runs of versions that did not know it.

import { createHash } from 'node:crypto'
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const optim = { lr: 0.05, epochs: 3, batchSize: 8 }
const config = (overrides: Partial<ConfigInput> = {}) =>
  defineConfig(toyConfig(folder, { loss: { name: 'cross-entropy' }, optim, ...overrides }))

test('mean per class: by predictions of one image at a time; a class without images is named', async () => {
  const dataset = await openDataset(config().data)
  const kept = dataset.test.filter(({ label }, at) => label === 0 || (label === 1 && at % 2 === 0))
  const { runDir } = await train(config({ name: 'whole' })).result
  const data = { dataset: { ...dataset, test: kept } } as ConfigInput['data']
  const warnings: string[] = []
  const weights = join(runDir, 'last')
  const onEvent = ({ message }: { message: string }) => warnings.push(message)
  const figures = await evaluate({ weights, data, onEvent })
  const predictions = await predict(
    kept.map(({ path }) => path),
    { weights },
  )
  const shares = [0, 1].map((wanted) => {
    const right = kept.flatMap(({ label }, at) =>
      label === wanted ? [predictions[at]?.top[0]?.label === wanted] : [],
    )
    return right.filter(Boolean).length / right.length
  }) as [number, number]
  expect(figures.meanPerClass).toBe((shares[0] + shares[1]) / 2)
  expect(figures).toMatchObject({ classes: 2, n: kept.length })
  expect(warnings).toEqual([
    expect.stringMatching(`1 of 3 classes have no test image.*'${dataset.classes[2]}'`),
  ])
})

test('a run of an earlier version, without these fields, goes on', async () => {
  const of = (epochs: number, metric: 'top1' | 'meanPerClass') =>
    config({ name: 'earlier', best: { metric }, optim: { ...optim, epochs } })
  const { runDir } = await train(of(1, 'top1')).result
  const checkpoint = realpathSync(join(runDir, 'last'))
  const edit = (name: string, change: (text: string) => string) => {
    const text = change(readFileSync(join(checkpoint, name), 'utf8'))
    writeFileSync(join(checkpoint, name), text)
    return { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') }
  }
  const listed = edit('state.json', (text) => {
    const state = JSON.parse(text, (key, value) =>
      key === 'meanPerClass' || key === 'classes'
        ? Array.isArray(value)
          ? value
          : undefined
        : value,
    )
    expect(Object.keys(state.best).sort()).toEqual(['epoch', 'loss', 'n', 'top1', 'top5'])
    return JSON.stringify(state)
  })
  edit('manifest.json', (text) => JSON.stringify({ ...JSON.parse(text), 'state.json': listed }))

  await expect(train(of(1, 'top1'), { resume: runDir }).result).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
    message: expect.stringMatching(/nothing is left to train/),
  })
  const { best, last } = await train(of(2, 'meanPerClass'), { resume: runDir }).result
  expect(last.epoch).toBe(1)
  expect(best.epoch).toBe(1) // the first that has the metric
  expect(best.meanPerClass).toBe(last.meanPerClass)
})

test('best can be picked by it', async () => {
  const run = train(config({ name: 'by-class', best: { metric: 'meanPerClass' } }))
  const all: number[] = []
  for await (const event of run) {
    if (event.type === 'epoch' && event.test) all.push(event.test.meanPerClass)
  }
  expect(all).toHaveLength(3)
  expect((await run.result).best.meanPerClass).toBe(Math.max(...all))
})
