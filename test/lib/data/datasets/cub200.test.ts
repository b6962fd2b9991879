import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CUB200_OFFICIAL, cub200 } from '../../../../lib/data/datasets/cub200.js'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { dataError, empty, tree } from '../../../support/tree.js'

const lists = {
  'classes.txt': ['1 001.Albatross', '2 002.Auklet'],
  'images.txt': [
    '1 001.Albatross/a_1.jpg',
    '2 001.Albatross/a_2.jpg',
    '3 002.Auklet/b_1.jpg',
    '4 002.Auklet/b_2.jpg',
    '5 002.Auklet/b_3.jpg',
  ],
  'image_class_labels.txt': ['1 1', '2 1', '3 2', '4 2', '5 2'],
  'train_test_split.txt': ['1 0', '2 1', '3 1', '4 0', '5 1'],
  'bounding_boxes.txt': [
    '1 60.0 27.0 325.0 304.0',
    '2 139.0 30.0 153.0 264.0',
    '3 14.0 112.0 388.0 186.0',
    '4 112.0 90.0 255.0 242.0',
    '5 70.5 50.0 134.0 303.0',
  ],
}
type List = keyof typeof lists

async function folder(change: { [list in List]?: string[] } = {}, prefix = '') {
  const all = { ...lists, ...change }
  const files = lists['images.txt'].map((line) => `${prefix}images/${line.split(' ')[1]}`)
  return tree({
    ...empty(...files),
    ...Object.fromEntries(
      Object.entries(all).map(([name, lines]) => [`${prefix}${name}`, `${lines.join('\n')}\n`]),
    ),
  })
}

describe('cub200 reads', () => {
  test('the five lists: labels from 0, splits, boxes, order of images.txt', async () => {
    const root = await folder()
    const sample = (file: string, label: number, box: number[]) => ({
      path: join(root, 'images', file),
      label,
      box,
    })
    const warning =
      `cub200: ${root} is not the official release: 2 classes instead of 200, ` +
      '3 training images instead of 5994, 2 test images instead of 5794.'
    expect(await cub200({ root })).toEqual({
      warnings: [warning],
      name: 'cub200',
      classes: ['001.Albatross', '002.Auklet'],
      train: [
        sample('001.Albatross/a_2.jpg', 0, [139, 30, 153, 264]),
        sample('002.Auklet/b_1.jpg', 1, [14, 112, 388, 186]),
        sample('002.Auklet/b_3.jpg', 1, [70.5, 50, 134, 303]),
      ],
      test: [
        sample('001.Albatross/a_1.jpg', 0, [60, 27, 325, 304]),
        sample('002.Auklet/b_2.jpg', 1, [112, 90, 255, 242]),
      ],
    })
  })

  test('from the parent folder, with CRLF line ends and lists in another order', async () => {
    const plain = await cub200({ root: await folder() })
    const changed = await folder(
      {
        'image_class_labels.txt': lists['image_class_labels.txt'].toReversed(),
        'classes.txt': lists['classes.txt'].map((line) => `${line}\r`),
      },
      'CUB_200_2011/',
    )
    const dataset = await cub200({ root: changed })
    expect(dataset.classes).toEqual(plain.classes)
    expect(dataset.train.map(({ label }) => label)).toEqual(plain.train.map(({ label }) => label))
    expect(dataset.train[0]?.path).toBe(join(changed, 'CUB_200_2011/images/001.Albatross/a_2.jpg'))
  })

  test('from a folder of many sets, links to other places and to itself among them', async () => {
    const root = await folder({}, 'birds/')
    await symlink(await folder(), join(root, 'elsewhere'))
    await symlink('birds', join(root, 'CUB_200_2011'))
    const dataset = await cub200({ root })
    expect(dataset.train[0]?.path).toBe(join(root, 'birds/images/001.Albatross/a_2.jpg'))
  })
})

describe('cub200 refuses', () => {
  /** The list with one line replaced (from 1), or one more after the last. */
  const edit = (list: List, number: number, line: string) => ({
    [list]: lists[list].with(number - 1, line),
  })
  const add = (list: List, line: string) => ({ [list]: [...lists[list], line] })
  const cut = (list: List, number: number) => ({ [list]: lists[list].toSpliced(number - 1, 1) })

  test.each([
    [
      'a file that is not there',
      edit('images.txt', 3, '3 002.Auklet/none.jpg'),
      ['images.txt line 3', 'none.jpg'],
    ],
    ['a folder as a file', edit('images.txt', 3, '3 002.Auklet'), ['images.txt line 3']],
    ['..', edit('images.txt', 2, '2 ../../secret.jpg'), ['images.txt line 2', 'within']],
    [
      '.. further in',
      edit('images.txt', 2, '2 a/../../secret.jpg'),
      ['images.txt line 2', 'within'],
    ],
    ['an absolute path', edit('images.txt', 2, '2 /etc/passwd'), ['images.txt line 2', 'within']],
    [
      'a file listed twice',
      edit('images.txt', 2, '2 001.Albatross/a_1.jpg'),
      ['images.txt line 2', 'line 1 does not list'],
    ],
    ['an id twice', add('images.txt', '3 002.Auklet/b_1.jpg'), ['images.txt line 6', 'line 3']],
    ['a label twice', add('image_class_labels.txt', '5 1'), ['image_class_labels.txt line 6']],
    [
      'label 0',
      edit('image_class_labels.txt', 4, '4 0'),
      ['image_class_labels.txt line 4', '1..2'],
    ],
    [
      'label 3 of 2',
      edit('image_class_labels.txt', 4, '4 3'),
      ['image_class_labels.txt line 4', '1..2'],
    ],
    ['a label that is no integer', edit('image_class_labels.txt', 4, '4 1.5'), ['line 4', "'1.5'"]],
    [
      'an image without a label',
      cut('image_class_labels.txt', 2),
      ['images.txt line 2', 'image_class_labels.txt'],
    ],
    [
      'a label without an image',
      add('image_class_labels.txt', '9 1'),
      ['image_class_labels.txt line 6', 'images.txt'],
    ],
    [
      'an image without a split',
      cut('train_test_split.txt', 5),
      ['images.txt line 5', 'train_test_split.txt'],
    ],
    [
      'split 2',
      edit('train_test_split.txt', 1, '1 2'),
      ['train_test_split.txt line 1', '0 (test)'],
    ],
    [
      'an image without a box',
      cut('bounding_boxes.txt', 1),
      ['images.txt line 1', 'bounding_boxes.txt'],
    ],
    [
      'a box of three',
      edit('bounding_boxes.txt', 2, '2 1.0 2.0 3.0'),
      ['bounding_boxes.txt line 2'],
    ],
    [
      'a box below 0',
      edit('bounding_boxes.txt', 2, '2 -1.0 2.0 3.0 4.0'),
      ['bounding_boxes.txt line 2'],
    ],
    [
      'a box of words',
      edit('bounding_boxes.txt', 2, '2 1.0 2.0 NaN 4.0'),
      ['bounding_boxes.txt line 2'],
    ],
    [
      'a class out of turn',
      edit('classes.txt', 2, '3 002.Auklet'),
      ['classes.txt line 2', 'number 2'],
    ],
    [
      'a class twice',
      edit('classes.txt', 2, '2 001.Albatross'),
      ["'001.Albatross' is listed twice"],
    ],
    [
      'a line without an id',
      edit('images.txt', 1, '001.Albatross/a_1.jpg'),
      ['images.txt line 1', 'positive id'],
    ],
    [
      'id 0',
      edit('images.txt', 1, '0 001.Albatross/a_1.jpg'),
      ['images.txt line 1', 'positive id'],
    ],
    ['an empty list', { 'train_test_split.txt': [] }, ['train_test_split.txt is empty']],
  ] as [string, { [list in List]?: string[] }, string[]][])('%s', async (_name, change, parts) => {
    await expect(cub200({ root: await folder(change) })).rejects.toEqual(dataError(...parts))
  })

  test.each(Object.keys(lists))('a root without %s', async (name) => {
    const root = await folder()
    await rm(join(root, name))
    await expect(cub200({ root })).rejects.toEqual(dataError(root, name))
  })

  test('a link that leaves the root', async () => {
    const outside = await tree(empty('bird.jpg'))
    const root = await folder(edit('images.txt', 4, '4 002.Auklet/linked.jpg'))
    await symlink(join(outside, 'bird.jpg'), join(root, 'images/002.Auklet/linked.jpg'))
    await expect(cub200({ root })).rejects.toEqual(dataError('linked.jpg', 'leaves the data root'))
  })

  test('a missing root and one of something else', async () => {
    const root = await tree(empty('other.txt'))
    await expect(cub200({ root: join(root, 'none') })).rejects.toEqual(
      dataError('nothing is there'),
    )
    await expect(cub200({ root })).rejects.toEqual(dataError('no images.txt', 'CUB_200_2011.tgz'))
  })

  test('with strict, counts other than the official ones', async () => {
    const root = await folder()
    await expect(openDataset({ name: 'cub200', root, strict: true })).rejects.toEqual(
      dataError('2 classes instead of 200', '3 training images instead of 5994'),
    )
  })
})

test('without checkFiles, files that are not there are listed all the same', async () => {
  const root = await folder()
  await rm(join(root, 'images/002.Auklet/b_1.jpg'))
  await rm(join(root, 'images/001.Albatross'), { recursive: true })
  await symlink('nowhere.jpg', join(root, 'images/002.Auklet/b_1.jpg'))
  await expect(cub200({ root })).rejects.toEqual(dataError())
  const { train } = await cub200({ root, checkFiles: false })
  expect(train.map(({ path }) => path.slice(root.length))).toEqual([
    '/images/001.Albatross/a_2.jpg',
    '/images/002.Auklet/b_1.jpg',
    '/images/002.Auklet/b_3.jpg',
  ])
})

test('a set of the official counts is taken as it is', async () => {
  const { classes, train, test: held } = CUB200_OFFICIAL
  const count = train + held
  const numbers = (n: number) => Array.from({ length: n }, (_, at) => at + 1)
  const list = (n: number, value: (id: number) => string) =>
    numbers(n)
      .map((id) => `${id} ${value(id)}\n`)
      .join('')
  const classOf = (id: number) => ((id - 1) % classes) + 1
  const file = (id: number) => `${Math.ceil(id / classes)}.jpg`
  // All class folders are links to one, which spares some ten thousand files.
  const files = numbers(Math.ceil(count / classes)).map((at) => `shared/${at}.jpg`)
  const root = await tree({
    ...empty(...files, 'images/readme'),
    'classes.txt': list(classes, (id) => `${id}.c`),
    'images.txt': list(count, (id) => `${classOf(id)}.c/${file(id)}`),
    'image_class_labels.txt': list(count, (id) => `${classOf(id)}`),
    'train_test_split.txt': list(count, (id) => (id <= train ? '1' : '0')),
    'bounding_boxes.txt': list(count, () => '0.0 0.0 10.0 10.0'),
  })
  for (const cls of numbers(classes)) await symlink('../shared', join(root, `images/${cls}.c`))
  const dataset = await cub200({ root })
  expect([dataset.train.length, dataset.test.length]).toEqual([5994, 5794])
  expect(dataset.classes).toHaveLength(200)
  expect(dataset.warnings).toBeUndefined()
  expect(await openDataset({ name: 'cub200', root, strict: true })).toEqual(dataset)
})
