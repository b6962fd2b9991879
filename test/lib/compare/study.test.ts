// What a study asks for: its file, its entries, its recipes, its baselines.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Entry, entriesOf, figureRun } from '../../../lib/compare/entries.js'
import { recipeOf } from '../../../lib/compare/recipe.js'
import { defineStudy, readStudy, type StudyInput, seedsIn } from '../../../lib/compare/study.js'
import { parsedValue, splitValues, valuesText } from '../../../lib/compare/values.js'
import { defineConfig } from '../../../lib/config/index.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { crossEntropy, mc, tinyConfig, tinyStudy } from '../../support/tiny-study.js'

const folder = temporaryFolder()
const base = tinyConfig(folder)
const define = async (more: Partial<StudyInput>) =>
  entriesOf(await defineStudy(tinyStudy(folder, more)))
const hash = (entry: Entry | undefined) => figureRun(entry as Entry, {}, 0).hash

test('entries are every listed one with every combination of the axes', async () => {
  const axes = { 'optim.lr': [0.1, 0.2], 'data.trainPerClass': [4, 8] }
  const entries = await define({ axes, baseline: { 'loss.name': 'cross-entropy' } })
  expect(entries).toHaveLength(8)
  expect(entries[5]).toMatchObject({
    label: 'mc, optim.lr 0.1, data.trainPerClass 8',
    values: { 'optim.lr': 0.1, 'data.trainPerClass': 8, loss: { name: 'mc' } },
    input: { optim: { lr: 0.1, epochs: 2 }, data: { trainPerClass: 8 }, loss: { name: 'mc' } },
  })
  // The baseline of each is the one whose other values are the same.
  expect(entries.map(({ baseline }) => entries.indexOf(baseline as Entry))).toEqual([
    ...[0, 1, 2, 3],
    ...[0, 1, 2, 3],
  ])
})

test('a loss is replaced as a whole, and a key in it counts', async () => {
  const [entry] = await define({
    entries: [{ values: { 'loss.labelSmoothing': 0.1, loss: { name: 'cross-entropy' } } }],
    baseline: {},
  })
  expect(entry?.input.loss).toEqual({ name: 'cross-entropy', labelSmoothing: 0.1 })
})

test('a tuned entry and one with its values that tries others are two', async () => {
  const entries = [{ label: 'a' }, { label: 'b', grid: { 'optim.lr': [0.3] } }]
  expect(await define({ entries, baseline: {}, tune: 2 })).toHaveLength(2)
})

test.each<[string, Partial<StudyInput>, RegExp]>([
  ['an unknown key of the study', { seedz: [0] } as never, /study: 1 problem.*seedz.*'seeds'/s],
  ['an unknown key of an axis', { axes: { 'optim.rate': [1] } }, /'optim\.rate'/],
  ['what is no part of a recipe', { axes: { seed: [1, 2] } }, /seed cannot differ.*as seeds/],
  ['a value out of range', { axes: { 'optim.lr': [-1] } }, /entry 'ce, optim.lr -1'.*optim\.lr/s],
  ['the same recipe twice', { axes: { 'data.flip': [true, true] } }, /the same label/],
  [
    'the same recipe in other words',
    { entries: [{ label: 'a' }, { label: 'b', values: { 'data.flip': true } }], baseline: {} },
    /'a'.*'b'.*the same recipe/,
  ],
  ['no baseline', { baseline: { label: 'c' } }, /one baseline with {"label":"c"}.*found none/],
  ['seeds twice', { seeds: [1, 1] }, /different seeds/],
  ['a seed of the tuning', { seeds: [1000], tune: 2 }, /those of the tuning/],
  ['one trial', { tune: 1 }, /tune/],
])('%s is refused', async (_, more, words) => {
  await expect(define(more)).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringMatching(words),
  })
})

test('a recipe has no path, no name and nothing that only a machine is asked for', () => {
  const recipe = recipeOf(defineConfig({ ...base, threads: 1 }))
  expect(recipe).not.toContain(folder)
  const same = {
    ...base,
    ...{ threads: 1, seed: 7, out: 'elsewhere', name: 'x', about: 'y', logEvery: 3 },
    data: { ...base.data, root: 'elsewhere', decoders: 1, prefetch: 1, store: 'off' as const },
  }
  expect(recipeOf(defineConfig(same))).toBe(recipe)
  for (const other of [
    { threads: 2 },
    { threads: 1, channelsLast: false },
    { threads: 1, data: { ...base.data, seed: 5 } },
    { threads: 1, optim: { ...base.optim, momentum: 0.5 } },
    { threads: 1, model: { ...base.model, weights: 'a.safetensors' } },
  ]) {
    expect(recipeOf(defineConfig({ ...base, ...other }))).not.toBe(recipe)
  }
})

test('what is as the schema has it by default is no part of a recipe: a new option changes none', () => {
  const recipe = JSON.parse(recipeOf(defineConfig({ ...base, threads: 1 })))
  expect(recipe).toMatchObject({ optim: { lr: 0.05, epochs: 2, batchSize: 8 }, threads: 1 })
  expect(recipe.optim).not.toHaveProperty('weightDecay')
  expect(recipe.data).not.toHaveProperty('jitter')
  expect(recipe.loss).toEqual({ name: 'mc', alpha: 1, beta: 0.5, keep: 'ceil-half' })
})

test('threads are part of a recipe, one unless given', async () => {
  const [one, two, none] = await define({
    entries: [1, 2].map((threads) => ({ label: `${threads}`, values: { threads } })),
    baseline: {},
  })
  expect(none).toBeUndefined()
  expect(hash(one)).not.toBe(hash(two))
  const [plain] = await define({ entries: [{ label: 'plain' }], baseline: {} })
  expect(hash(plain)).toBe(hash(one))
})

test('the test split is evaluated once, at the end; with validation images the best epoch is', async () => {
  const [once, picks] = await define({
    entries: [{ label: 'a' }, { label: 'b', values: { 'data.validation': 0.25 } }],
    baseline: {},
  })
  expect(figureRun(once as Entry, {}, 0).config.evalEvery).toBe(2)
  expect(figureRun(picks as Entry, {}, 0).config.evalEvery).toBe(1)
})

test('a study of a configuration file has its name and the axes of the command line', async () => {
  const file = join(folder, 'my birds.json')
  writeFileSync(file, JSON.stringify(base))
  const study = await readStudy(file, { axes: { 'optim.lr': [0.1, 0.2] }, seeds: '3..5' })
  expect(study).toMatchObject({ name: 'my-birds', seeds: [3, 4, 5], base })
  expect(entriesOf(study).map(({ label }) => label)).toEqual(['optim.lr 0.1', 'optim.lr 0.2'])
  const studyFile = join(folder, 'study.json')
  writeFileSync(studyFile, JSON.stringify(tinyStudy(folder, { base: file })))
  const read = await readStudy(studyFile, { axes: { 'optim.lr': [0.1] } })
  expect(read).toMatchObject({ name: 'tiny', base, axes: { 'optim.lr': [0.1] }, seeds: [0, 1] })
})

test('what was published stands beside its own recipe alone', async () => {
  const published = { top1: 0.9, source: 'a paper' }
  const [own, other] = await define({ entries: [{ ...crossEntropy, published }, mc] })
  expect(own?.published).toEqual(published)
  expect(other?.published).toBeUndefined()
})

test.each([
  ['0..4', [0, 1, 2, 3, 4]],
  ['3..3', [3]],
  ['0,2,7', [0, 2, 7]],
  ['4..0', []],
  ['a', []],
  ['', []],
])('the seeds %s', (text, seeds) => expect(seedsIn(text)).toEqual(seeds))

test('values of a command line: commas in JSON separate nothing, each as its flag takes it', () => {
  const losses = '{"name":"mc","alpha":1,"beta":2},{"name":"cross-entropy"}'
  expect(splitValues(losses).map((text) => parsedValue('loss', text))).toEqual([
    { name: 'mc', alpha: 1, beta: 2 },
    { name: 'cross-entropy' },
  ])
  expect(splitValues('[30,45],[60]').map((text) => parsedValue('optim.milestones', text))).toEqual([
    [30, 45],
    [60],
  ])
  expect(splitValues('0.1,0.2').map((text) => parsedValue('optim.lr', text))).toEqual([0.1, 0.2])
  expect(parsedValue('model.head', 'linear')).toBe('linear')
  expect(() => parsedValue('loss', 'mc')).toThrow(/as JSON/)
  expect(valuesText({ loss: { name: 'mc', alpha: 1 }, 'optim.lr': 0.1 })).toBe(
    'mc alpha 1, optim.lr 0.1',
  )
})
