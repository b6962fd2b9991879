import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Dataset } from '../../../../lib/data/batch.js'
import { datasetNames, openDataset, readerOptions } from '../../../../lib/data/datasets/index.js'
import { dataError, empty, tree } from '../../../support/tree.js'

describe('openDataset', () => {
  test('reads the sets it knows by name', async () => {
    expect(datasetNames).toEqual([
      'image-folder',
      'csv',
      'cub200',
      'fgvc-aircraft',
      'flowers102',
      'stanford-cars',
      'drawn-birds',
    ])
    const root = await tree(empty('train/a/1.jpg', 'test/a/1.jpg'))
    expect(await openDataset({ name: 'image-folder', root })).toMatchObject({ classes: ['a'] })
    const birds = { classes: 2, trainPerClass: 2, testPerClass: 1, size: 16 }
    const drawn = await openDataset({ name: 'drawn-birds', root: await tree(), ...birds })
    expect([drawn.train.length, drawn.test.length]).toEqual([4, 2])
    await expect(openDataset({ name: 'cub200', root })).rejects.toEqual(dataError('images.txt'))
  })

  test('refuses other names, saying which there are', async () => {
    for (const [name, part] of [
      ['cub', 'image-folder, csv, cub200, fgvc-aircraft, flowers102, stanford-cars, drawn-birds'],
      [
        'constructor',
        'image-folder, csv, cub200, fgvc-aircraft, flowers102, stanford-cars, drawn-birds',
      ],
      ['own', 'give it again'],
    ] as const) {
      await expect(openDataset({ name, root: '.' })).rejects.toMatchObject({
        code: 'E_CONFIG',
        message: expect.stringContaining(part),
      })
    }
  })
})

describe("a script's own dataset", () => {
  const own: Dataset = {
    name: 'own birds',
    classes: ['robin', 'jay'],
    train: [{ path: 'a.jpg', label: 0 }],
    test: [{ path: 'b.jpg', label: 1 }],
  }

  test('is given back as it is', async () => {
    expect(await openDataset({ dataset: own })).toBe(own)
  })

  test('with warnings is E_DATA where it must be strict', async () => {
    const dataset = { ...own, warnings: ['own: a file was left out.'] }
    expect(await openDataset({ dataset })).toBe(dataset)
    await expect(openDataset({ dataset, strict: true })).rejects.toEqual(
      dataError('own: a file was left out.', 'data.strict'),
    )
    expect(await openDataset({ dataset: own, strict: true })).toBe(own)
  })

  test('with images in both splits gets a warning', async () => {
    const test = [...own.test, { path: './x/../a.jpg', label: 0 }]
    const dataset = { ...own, test, warnings: ['own: one.'] }
    const { warnings } = await openDataset({ dataset })
    expect(warnings).toEqual(['own: one.', expect.stringMatching(/1 of 2 test images .*a\.jpg\./)])
    expect(dataset.warnings).toEqual(['own: one.'])
    await expect(openDataset({ dataset: { ...own, test }, strict: true })).rejects.toEqual(
      dataError('training images too'),
    )
  })

  test.each([
    ['an empty split', { test: [] }, ['test split of own birds is empty']],
    [
      'label 2 of 2',
      { train: [{ path: 'x.jpg', label: 2 }] },
      ['x.jpg in the train split', '0..1'],
    ],
    ['label -1', { train: [{ path: 'x.jpg', label: -1 }] }, ['x.jpg', '-1']],
    ['label 0.5', { test: [{ path: 'x.jpg', label: 0.5 }] }, ['x.jpg in the test split', '0.5']],
    ['a label of text', { train: [{ path: 'x.jpg', label: '0' as never }] }, ['the string "0"']],
    ['no classes', { classes: [] }, ['own birds has no classes']],
    ['a class twice', { classes: ['jay', 'jay'] }, ["'jay' is listed twice"]],
  ] as [string, Partial<Dataset>, string[]][])(
    'with %s is E_DATA',
    async (_name, change, parts) => {
      await expect(openDataset({ dataset: { ...own, ...change } })).rejects.toEqual(
        dataError(...parts),
      )
    },
  )
})

test('a key of one reader is no key of another, and says what it means', () => {
  const keys = [...readerOptions.values()].flatMap((options) => Object.entries(options))
  expect(keys.map(([key]) => key).sort()).toEqual([
    'classes',
    'cropStrip',
    'firstClass',
    'level',
    'masks',
    'seed',
    'size',
    'testPerClass',
    'trainPerClass',
  ])
  for (const [key, type] of keys) expect((type as z.ZodType).description, key).toMatch(/./)
})
