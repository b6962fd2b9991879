// What a reader does to the pictures of its samples is in the model file, and predict does it too.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import type { Dataset, Sample } from '../../../lib/data/batch.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import type { Prediction } from '../../../lib/predict/each.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import { openCheckpoint, readModelMetadata } from '../../../lib/train/checkpoint.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { writeTinySet } from '../../support/tiny-sets.js'

const folder = temporaryFolder()
const root = join(folder, 'planes')
const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
let planes: Dataset
let weights: string

function trained(name: string, data: object): Promise<string> {
  const config = defineConfig({
    name,
    out: join(folder, 'runs'),
    threads: 1,
    data: { resize: 16, padding: 0, store: 'off', ...data } as ConfigInput['data'],
    model: { backbone: 'toy', head: 'linear', channelsPerClass: 4 },
    loss: { name: 'cross-entropy' },
    optim: { lr: 0.05, epochs: 2, batchSize: 3 },
  })
  return train(config).result.then(({ runDir }) => join(runDir, 'last', 'model.safetensors'))
}

beforeAll(async () => {
  await writeTinySet('fgvc-aircraft', root)
  planes = await openDataset({ name: 'fgvc-aircraft', root })
  weights = await trained('planes', { name: 'fgvc-aircraft', root })
})

/** The test split's mean cross entropy by what predict says of each file. */
function lossOf(predictions: Prediction[]): number {
  const losses = predictions.map(({ top }, at) => {
    const right = top.find(({ label }) => label === planes.test[at]?.label)
    return -Math.log(right?.probability ?? 0)
  })
  return losses.reduce((a, b) => a + b, 0) / losses.length
}
const files = () => planes.test.map(({ path }) => path)
const predicted = async (file: string) => lossOf(await predict(files(), { weights: file }))

/** The model file with another metadata text, undefined: without it. */
function withPreprocessing(name: string, text: string | undefined, from = weights): string {
  const bytes = readFileSync(from)
  const end = 8 + Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, end))
  header.__metadata__.preprocessing = text
  const changed = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(changed.length))
  const path = join(folder, `${name}.safetensors`)
  writeFileSync(path, Buffer.concat([length, changed, bytes.subarray(end)]))
  return path
}

test('the strip of fgvc-aircraft is cut off in predict, library and command, as in eval', async () => {
  const { loss } = await evaluate({ weights })
  expect(await predicted(weights)).toBeCloseTo(loss, 5)
  const output = execFileSync(cli, ['predict', ...files(), '--weights', weights, '--json'])
  expect(lossOf(JSON.parse(String(output)))).toBeCloseTo(loss, 5)
  expect(await predicted(withPreprocessing('uncut', '{"cropBottom":0}'))).not.toBeCloseTo(loss, 2)
})

test('it is in the checkpoint', async () => {
  const preprocessing = { cropBottom: 20 }
  expect((await readModelMetadata(weights)).preprocessing).toEqual(preprocessing)
  expect((await openCheckpoint(join(weights, '..'))).state.preprocessing).toEqual(preprocessing)
})

test('a file from before it was kept there still cuts the strip', async () => {
  const { loss } = await evaluate({ weights })
  expect(await predicted(withPreprocessing('earlier', undefined))).toBeCloseTo(loss, 5)
})

test('another reader of the same files gives the same figures', async () => {
  const classes = [...planes.classes].sort() // as a list of files numbers them
  const row = (split: string) => (sample: Sample) =>
    `${relative(root, sample.path)},${planes.classes[sample.label]},${split}`
  const list = join(root, 'list.csv')
  const rows = [...planes.train.map(row('train')), ...planes.test.map(row('test'))]
  writeFileSync(list, ['path,class,split', ...rows].join('\n'))
  const numbered = (sample: Sample) => ({
    ...sample,
    label: classes.indexOf(planes.classes[sample.label] ?? ''),
  })
  const dataset = { classes, train: planes.train.map(numbered), test: planes.test.map(numbered) }
  const own = await trained('own', { dataset })
  const { loss } = await evaluate({ weights: own, data: { dataset } })
  expect((await evaluate({ weights: own, data: { name: 'csv', root: list } })).loss).toBe(loss)
})

test('data of which the reader is told that nothing is to be cut stays whole', async () => {
  const { loss } = await evaluate({ weights, data: { cropStrip: false } })
  expect(loss).toBeCloseTo(await predicted(withPreprocessing('whole', '{"cropBottom":0}')), 5)
})

test('what predict cannot know is said in one line', async () => {
  const [first, ...rest] = planes.train
  const mixed = {
    ...planes,
    train: [{ path: first?.path ?? '', label: first?.label ?? 0 }, ...rest],
  }
  const different = await trained('mixed', { dataset: mixed })
  expect((await readModelMetadata(different)).preprocessing).toEqual({ cropBottom: null })
  for (const [file, why] of [
    [different, 'the samples of the run differ in cropBottom'],
    [withPreprocessing('own', undefined, different), 'the model file does not tell cropBottom'],
  ] as const) {
    const warnings: string[] = []
    const onEvent = ({ message }: { message: string }) => warnings.push(message)
    await predict(files(), { weights: file, onEvent })
    expect(warnings).toEqual([expect.stringContaining(why)])
  }
})

test.each(['{"cropBottom":-1}', '{"cropBottom":20,"turn":90}', '{', '[]'])(
  'preprocessing that this version does not know is refused: %s',
  async (text) => {
    const file = withPreprocessing('other', text)
    const refused = { code: 'E_WEIGHTS', message: expect.stringContaining(file) }
    await expect(predict(files(), { weights: file })).rejects.toMatchObject(refused)
  },
)
