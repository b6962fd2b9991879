// Both views: evaluate and predict with `flip` against the mean of two separate predictions, of each image
// and of its mirrored file, to the bit.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { BatchPlaces, PixelSource } from '../../../lib/binding.js'
import { defineConfig } from '../../../lib/config/index.js'
import type { Sample } from '../../../lib/data/batch.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import { decodeTo, encodePng } from '../../../lib/data/images.js'
import { evaluate, predict } from '../../../lib/predict/inference.js'
import { bothViews, softmax } from '../../../lib/predict/views.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const side = 64
let weights: string
let samples: Sample[]
/** The test images as PNG, and each mirrored left-right. */
let [plain, mirrored]: [string[], string[]] = [[], []]

beforeAll(async () => {
  const config = defineConfig(toyConfig(folder, { optim: { lr: 0.05, epochs: 1, batchSize: 4 } }))
  weights = (await train(config).result).runDir
  samples = (await openDataset(config.data)).test
  mkdirSync(join(folder, 'png'))
  const write = async (name: string, pixels: Uint8Array) => {
    const path = join(folder, 'png', `${name}.png`)
    writeFileSync(path, await encodePng({ pixels, width: side, height: side }))
    return path
  }
  for (const [n, sample] of samples.entries()) {
    const pixels = new Uint8Array(side * side * 3)
    await decodeTo(sample, [side, side], pixels)
    const turned = pixels.map((_, at) => {
      const [x, line] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side)]
      return pixels[(line * side + side - 1 - x) * 3 + (at % 3)] as number
    })
    plain = [...plain, await write(`${n}`, pixels)]
    mirrored = [...mirrored, await write(`${n}-mirrored`, turned)]
  }
})

/** By file, by label. */
async function probabilities(files: string[], flip = false): Promise<number[][]> {
  const predictions = await predict(files, { weights, top: 3, flip })
  return predictions.map(({ top }) => {
    const row = [0, 0, 0]
    for (const { label, probability } of top) row[label] = probability
    return row
  })
}

/** The twin. */
async function averaged(): Promise<number[][]> {
  const [seen, turned] = [await probabilities(plain), await probabilities(mirrored)]
  return seen.map((row, n) => row.map((value, k) => (value + (turned[n]?.[k] as number)) / 2))
}

test('predict: the mean of the two predictions, most probable first', async () => {
  const expected = await averaged()
  expect(expected).not.toEqual(await probabilities(plain))
  expect(await probabilities(plain, true)).toEqual(expected)
  expect(await probabilities(mirrored, true)).toEqual(expected) // it has the same views
  for (const { top } of await predict(plain, { weights, flip: true })) {
    const sorted = top.map(({ probability }) => probability).sort((a, b) => b - a)
    expect(top.map(({ probability }) => probability)).toEqual(sorted)
  }
})

test('evaluate: top-1, top-5 and cross entropy of the mean of the two predictions', async () => {
  const expected = await averaged()
  const labels = samples.map(({ label }) => label)
  const correct = expected.filter((row, n) => row.indexOf(Math.max(...row)) === labels[n]).length
  const loss = expected.reduce((sum, row, n) => sum - Math.log(row[labels[n] as number] ?? 0), 0)
  const n = samples.length
  const figures = await evaluate({ weights, flip: true })
  expect(figures).toMatchObject({ n, top1: correct / n, top5: 1 })
  expect(figures.loss).toBeCloseTo(loss / n, 12)
  expect(figures.loss).not.toBeCloseTo((await evaluate({ weights })).loss, 5)
})

const batch = (windows: number[], labels: number[]): BatchPlaces & PixelSource => ({
  ...{ count: labels.length, pixels: new Uint8Array(), height: 1, width: 1 },
  windows: Int32Array.from(windows),
  labels: Int32Array.from(labels),
})

test('bothViews: places among seven classes; a probability below the least number has a loss', async () => {
  const views = [
    [3, 2, 1, 0, -1, -2, -3, 0, -2000, -2000, -2000, -2000, -2000, -2000],
    [1, 2, 3, 0, -1, -2, -3, 0, -1000, -1000, -1000, -1000, -1000, -1000],
  ]
  const seen: number[][] = []
  const predictor = {
    predict: async ({ windows }: BatchPlaces) => {
      seen.push([...windows])
      return Float32Array.from(views[seen.length % 2 === 1 ? 0 : 1] as number[])
    },
  }
  const evaluator = bothViews(predictor)
  const stats = await evaluator.evaluate(batch([1, 2, 0, 3, 4, 1], [4, 6]))
  expect(seen).toEqual([
    [1, 2, 0, 3, 4, 1],
    [1, 2, 1, 3, 4, 0],
  ])
  // Of the first, classes 0 and 2 are as probable; class 4 is the fifth. Of the second the mean is of
  // e^-2000 and e^-1000.
  expect(stats).toMatchObject({ n: 2, top1: 0, top5: 1, predictions: Int32Array.from([0, 0]) })
  const total = [3, 2, 1, 0, -1, -2, -3].reduce((sum, z) => sum + Math.exp(z), 0)
  expect(stats.lossSum).toBeCloseTo(1 + Math.log(total) + 1000 + Math.log(2), 9)
})

test('bothViews: outputs that are not finite have no loss', async () => {
  const evaluator = bothViews({ predict: async () => Float32Array.from([Number.NaN, 1]) })
  expect((await evaluator.evaluate(batch([0, 0, 0], [1]))).lossSum).toBeNaN()
})

test('the commands take --flip', async () => {
  const cli = join(import.meta.dirname, '../../..', 'dist', 'cli', 'main.js')
  const run = (...args: string[]) => {
    const given = [cli, ...args, '--weights', weights, '--flip', '--json']
    return JSON.parse(spawnSync(process.execPath, given, { encoding: 'utf8' }).stdout)
  }
  expect(run('eval')).toEqual(await evaluate({ weights, flip: true }))
  const [image = ''] = plain
  expect(run('predict', image)).toEqual(await predict([image], { weights, flip: true }))
})

test('flip is true or false', async () => {
  const flip = 'yes' as never
  await expect(evaluate({ weights, flip })).rejects.toMatchObject({ code: 'E_ARGUMENT' })
  await expect(predict([], { weights, flip })).rejects.toMatchObject({ code: 'E_ARGUMENT' })
})

test('the softmax is taken in float64, of large logits too', () => {
  const logits = Float32Array.of(1000, 1000 + Math.log(3), -1e30)
  const exact = Math.exp((logits[1] as number) - 1000)
  expect([...softmax(logits)]).toEqual([1 / (1 + exact), exact / (1 + exact), 0])
})
