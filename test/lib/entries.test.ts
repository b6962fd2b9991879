// Every exported function with what a caller without types may give it: the error names the function and
// the field, before any work.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Config, type ConfigInput, defineConfig } from '../../lib/config/index.js'
import * as mcloss from '../../lib/index.js'
import { temporaryFolder, toyConfig } from '../support/small-birds.js'

type Call = (...given: unknown[]) => unknown

const folder = temporaryFolder()
const config = defineConfig(toyConfig(folder))
const dataset = {
  classes: ['a'],
  train: [{ path: '/a', label: 0 }],
  test: [{ path: '/b', label: 0 }],
}
const epoch = { split: 'train', epoch: 0 }
const sheet = { ...epoch, count: 1 }
const { openDataset, drawBird, writeDrawnBirds, ...others } = mcloss.datasets
const readers = [
  'csv',
  'cub200',
  'drawnBirds',
  'fgvcAircraft',
  'flowers102',
  'imageFolder',
  'stanfordCars',
]

/** Right arguments of each, so that one at a time can be wrong. */
const entries: Record<string, { call: Call; right: unknown[]; options?: number[] }> = {
  bench: { call: mcloss.bench as Call, right: [config, {}], options: [1] },
  channelGroups: { call: mcloss.channelGroups as Call, right: [4, 2] },
  channelMaps: { call: mcloss.channelMaps as Call, right: [{ weights: 'none', images: [] }] },
  checkData: { call: mcloss.checkData as Call, right: ['csv', { root: folder }], options: [1] },
  contactSheet: { call: mcloss.contactSheet as Call, right: [dataset, config, sheet] },
  computeLoss: { call: mcloss.computeLoss as Call, right: [{}] },
  createPredictor: { call: mcloss.createPredictor as Call, right: [{ weights: 'none' }] },
  evaluate: { call: mcloss.evaluate as Call, right: [{ weights: 'none' }] },
  exportModel: { call: mcloss.exportModel as Call, right: [{}] },
  loader: { call: mcloss.loader as Call, right: [dataset, config, epoch] },
  makeReport: { call: mcloss.makeReport as Call, right: [{ runs: ['none'] }] },
  makeSchedule: { call: mcloss.makeSchedule as Call, right: [config, 5] },
  mcLoss: { call: mcloss.mcLoss as Call, right: [{}] },
  openStores: { call: mcloss.openStores as Call, right: [dataset, config, {}], options: [2] },
  predict: { call: mcloss.predict as Call, right: [['a.png'], { weights: 'none' }] },
  prepareStores: { call: mcloss.prepareStores as Call, right: [dataset, config, {}], options: [2] },
  train: {
    call: (...given) => mcloss.train(...(given as [Config])).result,
    right: [config, {}],
    options: [1],
  },
  'Trainer.create': { call: mcloss.Trainer.create as Call, right: [config, 3] },
  'datasets.openDataset': { call: openDataset as Call, right: [{ dataset }], options: [0] },
  'datasets.drawBird': { call: drawBird as Call, right: [{}] },
  'datasets.writeDrawnBirds': { call: writeDrawnBirds as Call, right: [{ root: folder }] },
  ...Object.fromEntries(
    readers.map((name) => [
      `datasets.${name}`,
      {
        call: (others as unknown as Record<string, Call>)[name] as Call,
        right: [{ root: folder }],
      },
    ]),
  ),
}

async function errorOf(call: Call, given: unknown[]): Promise<unknown> {
  try {
    await call(...given)
  } catch (error) {
    return error
  }
  throw new Error(`took ${JSON.stringify(given)}`)
}

test('the table has every function that the package exports', () => {
  const functions = (of: object, prefix = '') =>
    Object.entries(of).flatMap(([name, value]) =>
      typeof value === 'function' ? [`${prefix}${name}`] : [],
    )
  const named = [...functions(mcloss), ...functions(mcloss.datasets, 'datasets.'), 'Trainer.create']
  const apart = ['McLossError', 'configJsonSchema', 'defineConfig'] // a class; no arguments; config.test.ts
  expect(Object.keys(entries).sort()).toEqual(named.filter((name) => !apart.includes(name)).sort())
})

const strange = [null, undefined, 5, Number.NaN, 'text', true, [], [5], {}, () => {}, Symbol('s')]

test.each(Object.entries(entries))('%s names itself and what is wrong', async (name, entry) => {
  const before = readdirSync(folder)
  for (const [at, right] of entry.right.entries()) {
    for (const value of strange) {
      const isOption = entry.options?.includes(at) && (value === undefined || isEmpty(value))
      if (isOption || (typeof value === typeof right && !(right instanceof Object))) continue
      if (Array.isArray(value) && value.length === 0 && Array.isArray(right)) continue
      const given = entry.right.map((one, index) => (index === at ? value : one))
      const error = await errorOf(entry.call, given)
      expect(error, `${at}: ${String(value)}`).toMatchObject({
        name: 'McLossError',
        code: expect.stringMatching(/^E_(ARGUMENT|CONFIG)$/),
        message: expect.stringMatching(new RegExp(`^${name}: .*(expected|problem)`)),
      })
    }
  }
  expect(readdirSync(folder)).toEqual(before)
})

const isEmpty = (value: unknown) =>
  value instanceof Object && !Array.isArray(value) && typeof value !== 'function'

const signal = { aborted: false }
test.each([
  ['train', [config, { resume: 5 }], /^train: options\.resume: expected string but received 5\./],
  ['train', [config, { signal }], /^train: options\.signal: expected an AbortSignal .* an object/],
  [
    'train',
    [{ ...config, optim: { lr: 'fast' } }],
    /^train: config: 3 problems\.\n {2}optim\.lr: /,
  ],
  ['bench', [config, { rounds: '5' }], /^bench: options\.rounds: expected .* received "5"\./],
  ['bench', [config, { onTurn: 1 }], /^bench: options\.onTurn: expected a function/],
  ['evaluate', [{ weights: 5 }], /^evaluate: options\.weights: expected string but received 5\./],
  ['evaluate', [{ weights: 'a', data: 'b' }], /^evaluate: options\.data: expected object/],
  ['predict', ['a.png', { weights: 'a' }], /^predict: paths: expected array but received "a\.png"/],
  ['predict', [['a', 5], { weights: 'a' }], /^predict: paths\.1: expected string but received 5/],
  ['predict', [['a'], { weights: 'a', top: 0 }], /^predict: options\.top: .*>=1 but received 0/],
  [
    'loader',
    [{ ...dataset, train: [5] }, config, epoch],
    /^loader: dataset\.train\.0: expected a s/,
  ],
  ['loader', [dataset, { ...config, seed: '1' }, epoch], /^loader: options\.seed: expected number/],
  [
    'loader',
    [dataset, config, { split: 'val', epoch: 0 }],
    /^loader: epoch\.split: expected one of/,
  ],
  [
    'contactSheet',
    [dataset, { ...config, data: {} }, sheet],
    /^contactSheet: config\.data\.resize/,
  ],
  ['openStores', [dataset, { ...config, out: 5 }], /^openStores: options\.out: expected string/],
  ['computeLoss', [{ shape: 5 }], /^computeLoss: options\.embedding: expected/],
  ['mcLoss', [{ shape: 5 }], /^mcLoss: options\.shape: expected array but received 5/],
  ['mcLoss', [{ shape: [1, 2, 3, 4], mask: 'x' }], /^mcLoss: options\.mask: expected a Uint8Array/],
  ['makeSchedule', [config, -1], /^makeSchedule: stepsPerEpoch: .* received -1/],
  ['Trainer.create', [config, 2.5], /^Trainer\.create: numClasses: expected int but received 2\.5/],
  ['Trainer.create', [{}, 2], /^Trainer\.create: config: 4 problems/],
  [
    'datasets.openDataset',
    [{ name: 'csv' }],
    /^datasets\.openDataset: options\.root: expected str/,
  ],
  ['checkData', ['csv', {}], /^checkData: options\.root: expected string but received undefined/],
  ['datasets.csv', [{}], /^datasets\.csv: options\.root: expected string but received undefined/],
] as const)('%s: the field by name', async (name, given, words) => {
  const { call } = entries[name] as { call: Call }
  expect(await errorOf(call, [...given])).toMatchObject({ message: expect.stringMatching(words) })
})

test('train and its siblings take a plain configuration, and complete one again as it was', async () => {
  const plain = toyConfig(folder, { optim: { lr: 0.05, epochs: 1, batchSize: 8 } })
  const { last } = await mcloss.train(plain).result
  const defined = await mcloss.train(defineConfig(plain)).result
  expect(last.loss).toBe(defined.last.loss)
  expect(mcloss.makeSchedule(plain, 3)(0)).toBe(0.05)
  const broken = { classes: ['a'], train: [{}], test: [] }
  const own = { ...plain, data: { dataset: broken } } as unknown as ConfigInput
  await expect(mcloss.train(own).result).rejects.toMatchObject({
    message: expect.stringMatching(/^train: config\.data\.dataset\.train\.0: expected a sample/),
  })
  expect(readdirSync(join(folder, 'runs')).length).toBeGreaterThan(1)
})
