import { cp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stanfordCars } from '../../../../lib/data/datasets/stanford-cars.js'
import { type Plain, variables } from '../../../support/mat-writer.js'
import { type TinySet, writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, tree } from '../../../support/tree.js'

async function folder(name: TinySet): Promise<string> {
  const root = await tree()
  await writeTinySet(name, root)
  return root
}
const fixtures = join(import.meta.dirname, '../../..', 'fixtures', 'mat5')
const CLASSES = [
  'AM General Hummer SUV 2000',
  'Acura RL Sedan 2012',
  'Ram C/V Cargo Van Minivan 2012',
]

describe.each(['packed', 'plain'])('files as SciPy writes them: %s', (kind) => {
  test('devkit, cars_train, cars_test', async () => {
    const root = await folder('stanford-cars')
    for (const name of ['cars_train_annos.mat', 'cars_meta.mat']) {
      await cp(join(fixtures, kind, name), join(root, 'devkit', name))
    }
    const { classes, train, test: held } = await stanfordCars({ root })
    expect(classes).toEqual(CLASSES)
    expect(train).toHaveLength(9)
    expect(train[4]).toEqual({
      path: join(root, 'cars_train/00005.jpg'),
      label: 1,
      box: [5, 2, 39, 28], // pixels 6..44, 3..30 counted from 1
    })
    expect(held.map(({ path }) => path.slice(root.length))).toEqual(
      [1, 2, 3, 4, 5, 6].map((at) => `/cars_test/0000${at}.jpg`),
    )
  })

  test('cars_annos.mat, car_ims', async () => {
    const root = await folder('stanford-cars-single')
    await cp(join(fixtures, kind, 'cars_annos.mat'), join(root, 'cars_annos.mat'))
    const { classes, train, test: held } = await stanfordCars({ root })
    expect(classes).toEqual(CLASSES)
    expect(train.map(({ label }) => label)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2])
    expect(held[0]).toEqual({
      path: join(root, 'car_ims/000010.jpg'),
      label: 0,
      box: [10, 2, 39, 28],
    })
  })
})

test('the test labels may lie in devkit, the whole in stanford_cars', async () => {
  const root = await tree()
  await writeTinySet('stanford-cars', join(root, 'stanford_cars'))
  expect((await stanfordCars({ root })).test).toHaveLength(6)
  const [from, to] = ['', 'devkit'].map((inner) =>
    join(root, 'stanford_cars', inner, 'cars_test_annos_withlabels.mat'),
  ) as [string, string]
  await rename(from, to)
  expect((await stanfordCars({ root })).test).toHaveLength(6)
  await rm(to)
  await expect(stanfordCars({ root })).rejects.toEqual(
    dataError('devkit/cars_test_annos_withlabels.mat', 'ENOENT'),
  )
})

describe('refuses', () => {
  const image = (at: number) => `car_ims/00000${at}.jpg`
  const box = { bbox_x1: [1], bbox_y1: [0], bbox_x2: [30], bbox_y2: [20] }
  const car = (at: number, change: Record<string, Plain> = {}) => ({
    ...box,
    ...{ class: [at % 2 ? 1 : 2], test: [at > 2 ? 1 : 0], relative_im_path: image(at) },
    ...change,
  })
  const class_names = { cell: ['Acura', 'Volvo'] }
  const read = async (annotations: Plain, names: Plain = class_names) => {
    const root = await folder('stanford-cars-single')
    await writeFile(join(root, 'cars_annos.mat'), variables({ annotations, class_names: names }))
    return stanfordCars({ root })
  }
  const cars = (...change: Record<string, Plain>[]) => ({
    structs: [1, 2, 3].map((at) => car(at, change[at - 1])),
  })

  test('(the tables below are right but for one thing)', async () => {
    const { train } = await read(cars())
    expect(train).toMatchObject([
      { label: 0, box: [0, 0, 30, 20] },
      { label: 1, box: [0, 0, 30, 20] },
    ])
  })

  test.each([
    ['class 3 of 2', cars({}, { class: [3] }), ['annotations(2).class', '1..2']],
    ['class 0', cars({ class: [0] }), ['annotations(1).class', '1..2']],
    ['two classes', cars({ class: [1, 2] }), ['annotations(1).class']],
    ['test 2', cars({}, {}, { test: [2] }), ['annotations(3).test', '0..1']],
    ['a box turned round', cars({ bbox_x2: [0] }), ['annotations(1)', 'a box']],
    ['a box beyond', cars({ bbox_x1: [-1] }), ['annotations(1).bbox_x1']],
    ['numbers for a path', cars({ relative_im_path: [1] }), ['annotations(1).relative_im_path']],
    [
      'a path twice',
      cars({}, { relative_im_path: image(1) }),
      ['annotations(2)', 'annotations(1)'],
    ],
    ['a file that is not there', cars({ relative_im_path: 'x.jpg' }), ['exists', 'x.jpg']],
    ['cells for structs', { cell: [[1]] }, ['annotations', 'a struct array']],
    ['structs of other fields', { structs: [{ a: [1] }] }, ['the field bbox_x1', "'a'"]],
  ] as [string, Plain, string[]][])('%s', async (_name, annotations, parts) => {
    await expect(read(annotations)).rejects.toEqual(dataError('cars_annos.mat', ...parts))
  })

  test('class names that are no texts, or twice the same', async () => {
    await expect(read(cars(), { cell: ['Acura', [1]] })).rejects.toEqual(
      dataError('class_names{2}', 'text'),
    )
    await expect(read(cars(), 'Acura')).rejects.toEqual(dataError('class_names', 'a cell array'))
    await expect(read(cars(), { cell: ['Acura', 'Acura'] })).rejects.toEqual(
      dataError("'Acura' is listed twice"),
    )
  })

  test('a root without annotations', async () => {
    await expect(stanfordCars({ root: await tree() })).rejects.toEqual(
      dataError('no devkit/cars_train_annos.mat or cars_annos.mat'),
    )
  })
})
