// A caller who wants one split needs only that one to be there; the classes may be known already.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csv } from '../../../../lib/data/datasets/csv.js'
import { imageFolder } from '../../../../lib/data/datasets/image-folder.js'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { readerOf, type TinySet, tinySetNames, writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, empty, tree } from '../../../support/tree.js'

/** Lists that the other split alone needs. */
const lists: Record<TinySet, { train: string[]; test: string[] }> = {
  cub200: { train: [], test: [] },
  'fgvc-aircraft': {
    train: ['data/images_variant_trainval.txt'],
    test: ['data/images_variant_test.txt'],
  },
  flowers102: { train: [], test: [] },
  'stanford-cars': {
    train: ['devkit/cars_train_annos.mat'],
    test: ['cars_test_annos_withlabels.mat', 'devkit/cars_test_annos_withlabels.mat'],
  },
  'stanford-cars-single': { train: [], test: [] },
}

describe.each(tinySetNames)('%s', (set) => {
  test.each([
    ['train', 'test'],
    ['test', 'train'],
  ] as const)('%s without the files of %s', async (split, other) => {
    const root = await tree()
    await writeTinySet(set, root)
    const name = readerOf(set)
    const whole = await openDataset({ name, root })
    for (const { path } of whole[other]) rmSync(path)
    for (const list of lists[set][other]) rmSync(join(root, list), { force: true })
    await expect(openDataset({ name, root })).rejects.toMatchObject({ code: 'E_DATA' })
    const part = await openDataset({ name, root, split })
    expect(part[split]).toEqual(whole[split])
    expect(part[other]).toEqual([])
    expect(part.classes).toEqual(whole.classes)
    const counted = split === 'train' ? /training/ : /test images/
    expect(part.warnings?.[0]).toMatch(counted)
    expect(part.warnings?.[0]).not.toMatch(split === 'train' ? /test images/ : /training/)
  })
})

describe('image-folder', () => {
  const knownClasses = ['wren', 'Jay', 'robin'] // a model's need not be in the order of their names
  test('a test split alone, labelled by the known classes', async () => {
    const root = await tree(empty('test/Jay/1.jpg', 'test/wren/2.jpg'))
    await expect(imageFolder({ root })).rejects.toEqual(dataError('no folder train'))
    const dataset = await imageFolder({ root, split: 'test', knownClasses })
    expect(dataset).toMatchObject({ classes: knownClasses, train: [] })
    expect(dataset.test.map(({ label }) => label)).toEqual([1, 0])
    expect(dataset.warnings).toEqual([expect.stringMatching(/no images of the class robin\.$/)])
    expect((await imageFolder({ root, split: 'test' })).classes).toEqual(['Jay', 'wren'])
  })

  test('a folder of none of them is refused, and so is a root without the split', async () => {
    const root = await tree(empty('test/Jay/1.jpg', 'test/Wren/2.jpg'))
    await expect(imageFolder({ root, split: 'test', knownClasses })).rejects.toEqual(
      dataError('the 3 classes of the model (wren, Jay, robin)', 'the class folder Wren'),
    )
    await expect(imageFolder({ root, split: 'train' })).rejects.toEqual(
      dataError('no folder train'),
    )
  })
})

describe('csv', () => {
  test('test rows alone, labelled by the known classes', async () => {
    const root = await tree({
      ...empty('1.jpg', '2.jpg'),
      'list.csv': 'path,class,split\n1.jpg,Jay,test\n2.jpg,wren,test\n',
    })
    await expect(csv({ root })).rejects.toEqual(dataError('line 2', 'training images'))
    const dataset = await csv({ root, split: 'test', knownClasses: ['wren', 'Jay'] })
    expect(dataset).toMatchObject({ classes: ['wren', 'Jay'], train: [] })
    expect(dataset.test.map(({ label }) => label)).toEqual([1, 0])
    await expect(csv({ root, split: 'test', knownClasses: ['wren'] })).rejects.toEqual(
      dataError('line 2', "one of the model's classes", "'Jay'. "),
    )
    writeFileSync(join(root, 'list.csv'), 'path,class,split\n1.jpg,J\u0430y b,test\n')
    await expect(csv({ root, split: 'test', knownClasses: ['Jay b'] })).rejects.toEqual(
      dataError('line 2', "one of the model's classes", "'J\u0430y b'; character 1 is U+0430."),
    )
  })

  test('images of the other rows need not be there', async () => {
    const root = await tree(empty('1.jpg'))
    const rows = ['path,class,split', 'gone.jpg,Jay,train', '1.jpg,Jay,test']
    writeFileSync(join(root, 'list.csv'), rows.join('\n'))
    await expect(csv({ root })).rejects.toEqual(dataError('line 2', 'exists'))
    expect((await csv({ root, split: 'test' })).test).toEqual([
      { path: join(root, '1.jpg'), label: 0 },
    ])
  })
})

test('a Dataset object of one split', async () => {
  const dataset = { classes: ['a'], train: [], test: [{ path: '/1.jpg', label: 0 }] }
  expect(await openDataset({ dataset, split: 'test' })).toBe(dataset)
  await expect(openDataset({ dataset })).rejects.toEqual(dataError('the train split', 'empty'))
})
