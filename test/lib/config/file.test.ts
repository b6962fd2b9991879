// Configurations from outside a script: JSON files, flags, and the JSON Schema that describes them.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { configKeys, loadConfigFile, setConfigValue } from '../../../lib/config/file.js'
import { type ConfigInput, configJsonSchema } from '../../../lib/config/index.js'
import { closed } from '../../support/other-user.js'

interface JsonObject {
  properties: Record<string, { description: string; const?: string }>
  additionalProperties: boolean
}

const folder = mkdtempSync(join(tmpdir(), 'mcloss-test-'))
const schemaFile = join(import.meta.dirname, '../../..', 'docs', 'config.schema.json')

function written(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

test.each([
  ['seed', '3', 3],
  ['name', '2026', '2026'],
  ['name', 'run-1', 'run-1'],
  ['channelsLast', 'false', false],
  ['data.root', './CUB_200_2011', './CUB_200_2011'],
  ['data.resize', '448', 448],
  ['data.resize', '448,600', [448, 600]],
  ['data.resize', '[448, 600]', [448, 600]],
  ['data.mean', '0.5,0.4,0.3', [0.5, 0.4, 0.3]],
  ['data.classWeights', 'balanced', 'balanced'],
  ['data.classWeights', '1,0.5,2', [1, 0.5, 2]],
  ['loss.keep', 'ceil-half', 'ceil-half'],
  ['loss.keep', '0.6', 0.6],
  ['loss.name', 'lmcl', 'lmcl'],
  ['loss.labelSmoothing', '0.1', 0.1],
  ['loss.margin', 'wide', 'wide'],
  ['optim.lr', '1e-3', 0.001],
  ['optim.schedule', 'cosine', 'cosine'],
  ['optim.milestones', '150,225', [150, 225]],
  ['optim.milestones', '150', [150]],
  ['best.metric', 'loss', 'loss'],
  // what does not fit is left for defineConfig to refuse
  ['optim.lr', 'fast', 'fast'],
  ['data.flip', 'yes', 'yes'],
  ['optim.epochs', '1.5', 1.5],
  ['out', '', ''],
])('--%s %s', (path, text, expected) => {
  const input = {} as ConfigInput
  setConfigValue(input, path, text)
  const value = path
    .split('.')
    .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], input)
  expect(value).toEqual(expected)
})

test('a flag leaves the keys beside it alone', () => {
  const input = { optim: { lr: 1, epochs: 2, batchSize: 3 } } as ConfigInput
  setConfigValue(input, 'optim.lr', '5')
  expect(input).toEqual({ optim: { lr: 5, epochs: 2, batchSize: 3 } })
})

test('flags that no configuration has, or that lie in what is no object', () => {
  for (const path of ['lr', 'optim', 'optim.lrr', 'data.dataset', '__proto__.lr']) {
    expect(() => setConfigValue({} as ConfigInput, path, '1')).toThrow(
      expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining(path) }),
    )
  }
  const broken = { optim: 5 } as unknown as ConfigInput
  expect(() => setConfigValue(broken, 'optim.lr', '1')).toThrow(
    expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining('optim.lr') }),
  )
})

test('a file is read as it is', async () => {
  expect(await loadConfigFile(written('good.json', '{"seed": 3, "x": [1]}'))).toEqual({
    seed: 3,
    x: [1],
  })
})

test('a byte order mark is no part of it; another encoding is refused by name', async () => {
  const text = '{"name": "Kälte"}'
  expect(await loadConfigFile(written('mark.json', `\ufeff${text}`))).toEqual({ name: 'Kälte' })
  const path = join(folder, 'windows.json')
  for (const [bytes, encoding] of [
    [Buffer.from(text, 'latin1'), 'Windows-1252'],
    [Buffer.from(`\ufeff${text}`, 'utf16le'), 'UTF-16'],
  ] as const) {
    writeFileSync(path, bytes)
    await expect(loadConfigFile(path)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(new RegExp(`windows\\.json line 1: .*${encoding}`)),
    })
  }
})

test('a file that may not be read is not said to be missing', async () => {
  const path = written('closed.json', '{}')
  await closed(path, () =>
    expect(loadConfigFile(path)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringContaining(
        `${path} to be a JSON file with a configuration: permission`,
      ),
    }),
  )
})

test.each([
  ['missing.json', undefined],
  ['cut.json', '{"seed": 3,'],
  ['list.json', '[1]'],
  ['null.json', 'null'],
  ['empty.json', ''],
])('%s is refused by name', async (name, text) => {
  const path = text === undefined ? join(folder, name) : written(name, text)
  await expect(loadConfigFile(path)).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringContaining(path),
  })
})

test('docs/config.schema.json is the schema (UPDATE_SCHEMA=1 writes it)', () => {
  const text = `${JSON.stringify(configJsonSchema(), null, 2)}\n`
  if (process.env.UPDATE_SCHEMA) writeFileSync(schemaFile, text)
  expect(readFileSync(schemaFile, 'utf8')).toBe(text)
})

test('the schema describes every key, and a validator made from it judges as it should', () => {
  const schema = JSON.parse(readFileSync(schemaFile, 'utf8'))
  for (const { path, description } of configKeys()) {
    if (path.startsWith('loss.')) continue // the next test
    const at = path.split('.').reduce((node, key) => node.properties[key], schema)
    expect(at.description, path).toBe(description)
  }
  const validator = z.fromJSONSchema(schema)
  const good = {
    data: { name: 'cub200', root: 'x', resize: [448, 600] },
    model: { backbone: 'resnet50' },
    loss: { name: 'mc', preset: 'finetune' },
    optim: { lr: 0.1, schedule: 'cosine', epochs: 1, batchSize: 2 },
  }
  expect(validator.safeParse(good).success).toBe(true)
  for (const bad of [
    { ...good, sede: 1 },
    { ...good, model: {} },
    { ...good, data: { ...good.data, dataset: {} } },
    { ...good, optim: { ...good.optim, schedule: 'linear' } },
    { ...good, optim: { ...good.optim, lr: 'fast' } },
    { ...good, loss: { name: 'triplet' } },
    { ...good, loss: { ...good.loss, margin: 0.1 } },
    { ...good, loss: { name: 'cross-entropy', preset: 'finetune' } },
  ]) {
    expect(validator.safeParse(bad).success, JSON.stringify(bad)).toBe(false)
  }
})

test('the schema has one object per loss, told apart by its name, and a flag for every key of one', () => {
  const { oneOf, ...rest } = JSON.parse(readFileSync(schemaFile, 'utf8')).properties.loss
  expect(rest).toEqual({})
  const names = oneOf.map((one: JsonObject) => one.properties.name?.const)
  expect(names).toEqual([
    ...['a-softmax', 'arcface', 'center', 'coco', 'cosine-loss', 'cross-entropy', 'focal', 'lgm'],
    ...['lmcl', 'max-entropy', 'mc'],
  ])
  const words = new Map(configKeys().map(({ path, description }) => [path, description]))
  const keys = new Set<string>()
  for (const { properties, additionalProperties } of oneOf as JsonObject[]) {
    expect(additionalProperties).toBe(false)
    for (const [key, { description }] of Object.entries(properties)) {
      keys.add(`loss.${key}`)
      expect(description).toMatch(/./)
      expect(words.get(`loss.${key}`)).toContain(description)
    }
  }
  expect([...words.keys()].filter((path) => path.startsWith('loss.')).sort()).toEqual(
    [...keys].sort(),
  )
})

test.each([
  ['{\n  // how fast\n  "seed": 1\n}', /: line 2: .*no comments/],
  ['{\n  "seed": 1,\n}', /: line 3: .*no comma before/],
  ['{"seed": 1,\n "optim": {"lr": 1, "epochs": 2,\n  "lr": 3}}', /: line 3: the key "lr" twice/],
  ['{"seed": 1, "s\\u0065ed": 2}', /: line 1: the key "s\\u0065ed" twice/],
])('%j is refused with its line', async (text, words) => {
  await expect(loadConfigFile(written('wrong.json', text))).rejects.toMatchObject({
    code: 'E_CONFIG',
    message: expect.stringMatching(words),
  })
})

test('the same key in two objects, and braces in text, are no repeated keys', async () => {
  const text = '{"a": {"name": "{\\"a\\": 1"}, "b": [{"name": "a"}, {"name": "]"}], "name": "b"}'
  expect(await loadConfigFile(written('twins.json', text))).toEqual(JSON.parse(text))
})
