// Comparisons that refuse: each shows what differs, also where that cannot be read.

import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type ConfigInput, defineConfig } from '../../../lib/config/index.js'
import { openDataset } from '../../../lib/data/datasets/index.js'
import { evaluate } from '../../../lib/predict/inference.js'
import { train } from '../../../lib/train/train.js'
import { temporaryFolder, toyConfig } from '../../support/small-birds.js'

const folder = temporaryFolder()
const birds = toyConfig(folder).data
const optim = { lr: 0.05, epochs: 1, batchSize: 8 }
const runDir = join(folder, 'runs', 'seven')
const input = toyConfig(folder, { name: 'seven', optim, loss: { name: 'cross-entropy' } })
const own = { name: 'image-folder', root: join(folder, 'own'), resize: 64 } as const
const names = ['K\u00e4lte', 'amsel', 'fink']

let copies = 0

/** A copy of the data whose `from` is called `to`. */
function renamed(from: string, to: string) {
  const root = join(folder, `copy-${copies++}`)
  cpSync(own.root, root, { recursive: true })
  for (const split of ['train', 'test']) {
    renameSync(join(root, split, from), join(root, split, to))
  }
  return { ...own, root }
}

beforeAll(async () => {
  const { classes, ...splits } = await openDataset(defineConfig({ ...input, data: birds }).data)
  for (const split of ['train', 'test'] as const) {
    for (const name of names) mkdirSync(join(own.root, split, name), { recursive: true })
    for (const [index, { path, label }] of splits[split].entries()) {
      cpSync(path, join(own.root, split, names[label] as string, `${index}.jpg`))
    }
  }
  expect(classes).toHaveLength(3)
  await train(defineConfig({ ...input, data: own })).result
})

test.each([
  [
    'fink',
    'fink ',
    /number 2 \(from 0\): 'fink' against 'fink ' \(character 4: the end .* U\+0020/,
  ],
  ['fink', 'f\u0456nk', /number 2 .* \(character 1: U\+0069 against U\+0456\)/],
])('%j called %j: resume and evaluate show the difference', async (from, to, words) => {
  const data = renamed(from, to)
  const refused = (code: string) => ({ code, message: expect.stringMatching(words) })
  const resumed = train(defineConfig({ ...input, data }), { resume: runDir })
  await expect(resumed.result).rejects.toMatchObject(refused('E_CHECKPOINT'))
  await expect(evaluate({ weights: runDir, data })).rejects.toMatchObject(refused('E_DATA'))
})

test('evaluate on data with one class more names that class', async () => {
  const root = join(folder, 'four')
  cpSync(own.root, root, { recursive: true })
  for (const split of ['train', 'test']) {
    cpSync(join(root, split, 'fink'), join(root, split, 'star'), { recursive: true })
  }
  const message = expect.stringContaining("number 3 (from 0): nothing against 'star'")
  await expect(evaluate({ weights: runDir, data: { root } })).rejects.toMatchObject({ message })
})

test('classes of two splits in two Unicode forms', async () => {
  const data = renamed('fink', 'finken')
  renameSync(join(data.root, 'test', 'K\u00e4lte'), join(data.root, 'test', 'Ka\u0308lte'))
  await expect(openDataset(data)).rejects.toMatchObject({
    code: 'E_DATA',
    message: expect.stringMatching(/character 1: U\+00E4 against U\+0061, .*another Unicode form/),
  })
})

test('another model or loss than the run was started with is named, not only its tensors', async () => {
  const resume = (overrides: Partial<ConfigInput>) =>
    train(defineConfig({ ...input, data: own, ...overrides }), { resume: runDir }).result
  await expect(resume({ model: { ...input.model, channelsPerClass: 5 } })).rejects.toMatchObject({
    code: 'E_WEIGHTS',
    message: expect.stringContaining('model.channelsPerClass 4 then, 5 now.'),
  })
  await expect(resume({ loss: { name: 'center' } })).rejects.toMatchObject({
    code: 'E_CHECKPOINT',
    message: expect.stringMatching(/loss\.name "cross-entropy" then, "center" now/),
  })
})

test('drawn birds of an option of another type', async () => {
  const sheet = join(folder, 'birds', 'drawn-birds.json')
  const right = readFileSync(sheet, 'utf8')
  writeFileSync(sheet, right.replace('"size": 64', '"size": "64"'))
  await expect(openDataset(defineConfig(input).data)).rejects.toThrow('size "64" instead of 64')
  writeFileSync(sheet, right)
})

test('a key or value with a letter that looks right', () => {
  const define = (data: object) => () => defineConfig({ ...input, data } as ConfigInput)
  expect(define({ ...own, '\u0441rop': 32 })).toThrow(
    "data.\u0441rop: unknown key; character 0 is U+0441. Did you mean 'crop'?",
  )
  expect(define({ ...own, name: '\u0441sv' })).toThrow('; character 0 is U+0441)')
})
