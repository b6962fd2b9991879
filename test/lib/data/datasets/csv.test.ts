import { rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csv } from '../../../../lib/data/datasets/csv.js'
import { parseCsv } from '../../../../lib/data/datasets/lists/csv-text.js'
import { dataError, empty, tree } from '../../../support/tree.js'

const images = ['a/1.jpg', 'a/2.jpg', 'b/1, "old".jpg', 'b/2.jpg']
const folder = (list: string, name = 'list.csv') => tree({ ...empty(...images), [name]: list })
const LIST = [
  'path,class,split',
  'a/1.jpg,robin,train',
  'a/2.jpg,robin,test',
  '"b/1, ""old"".jpg",Jay,train',
  'b/2.jpg,Jay,test',
]

test('header, quotes, classes by code units, order of the list', async () => {
  const root = await folder(LIST.join('\n'))
  expect(await csv({ root })).toEqual({
    name: 'csv',
    classes: ['Jay', 'robin'],
    train: [
      { path: join(root, 'a/1.jpg'), label: 1 },
      { path: join(root, 'b/1, "old".jpg'), label: 0 },
    ],
    test: [
      { path: join(root, 'a/2.jpg'), label: 1 },
      { path: join(root, 'b/2.jpg'), label: 0 },
    ],
  })
})

test('columns in another order and more of them, CRLF, a byte order mark, by the file', async () => {
  const plain = await csv({ root: await folder(LIST.join('\n')) })
  const turned = [
    'who,split,class,path',
    'me,train,robin,a/1.jpg',
    'me,test,robin,a/2.jpg',
    'me,train,Jay,"b/1, ""old"".jpg"',
    'me,test,Jay,b/2.jpg',
  ]
  const root = await folder(`\ufeff${turned.join('\r\n')}\r\n\r\n`, 'birds.csv')
  const dataset = await csv({ root: join(root, 'birds.csv') })
  expect(dataset.classes).toEqual(plain.classes)
  expect(dataset.train.map(({ label }) => label)).toEqual(plain.train.map(({ label }) => label))
  expect(dataset.train[1]?.path).toBe(join(root, 'b/1, "old".jpg'))
})

test('a list that is named by a link lies where the link leads', async () => {
  const root = await folder(LIST.join('\n'))
  const link = join(await tree(), 'mine.csv')
  await symlink(join(root, 'list.csv'), link)
  expect((await csv({ root: link })).train[0]?.path).toBe(join(root, 'a/1.jpg'))
})

describe('refuses', () => {
  const change = (line: number, text: string) => LIST.with(line - 1, text).join('\n')
  test.each([
    ['no column path', change(1, 'file,class,split'), ['line 1', 'column path']],
    ['two columns class', change(1, 'class,class,split'), ['line 1', 'column path']],
    ['semicolons', 'path;class;split\na/1.jpg;robin;train', ['line 1', 'with commas between']],
    ['a blank after a class', change(2, 'a/1.jpg,robin ,train'), ['line 2', 'without blanks']],
    ['a split there is not', change(3, 'a/2.jpg,robin,val'), ['line 3', 'train or test', "'val'"]],
    ['no class', change(2, 'a/1.jpg,,train'), ['line 2', 'a class']],
    ['a class without training', change(4, 'b/2.jpg,Wren,test'), ['line 4', 'training images']],
    ['two fields', change(2, 'a/1.jpg,robin'), ['line 2', 'expected 3 fields']],
    ['four fields', change(2, 'a/1.jpg,robin,train,1'), ['line 2', 'at most 3 fields']],
    ['a quote left open', change(4, '"b/1.jpg,Jay,train'), ['line 4', 'RFC 4180']],
    ['a quote within', change(4, 'b/"1.jpg,Jay,train'), ['line 4', 'RFC 4180']],
    ['text after a quote', change(4, '"b/1.jpg"x,Jay,train'), ['line 4', 'RFC 4180']],
    ['a file twice', change(3, 'a/1.jpg,robin,test'), ['line 3', 'line 2']],
    ['a file that is not there', change(3, 'a/9.jpg,robin,test'), ['line 3', 'exists']],
    ['a folder', change(3, 'a,robin,test'), ['line 3', 'exists']],
    ['an empty path', change(3, ',robin,test'), ['line 3', 'the path of a file']],
    ['1,001 columns', ','.repeat(1000), ['line 1', 'at most 1000 fields']],
    [
      'a field of 70,000',
      change(2, `${'a'.repeat(70_000)},robin,train`),
      ['line 2', 'at most 65536'],
    ],
    ['an empty list', '\n\n', ['is empty', 'path, class and split']],
    ['a header alone', LIST[0] ?? '', ['train split', 'empty']],
  ] as [string, string, string[]][])('%s', async (_name, list, parts) => {
    await expect(csv({ root: await folder(list) })).rejects.toEqual(dataError(...parts))
  })

  test('a root of nothing, a folder without list.csv', async () => {
    const root = await folder(LIST.join('\n'))
    await rm(join(root, 'list.csv'))
    await expect(csv({ root })).rejects.toEqual(dataError('list.csv', 'ENOENT'))
    await expect(csv({ root: join(root, 'none') })).rejects.toEqual(dataError('nothing to read'))
  })
})

test.each([
  [
    'a,b\n1,2',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  ['a\n\n1\n', [['a'], ['1']]],
  [
    'a,b\n"x\ny",""\n',
    [
      ['a', 'b'],
      ['x\ny', ''],
    ],
  ],
  [
    'a,b\n,\n',
    [
      ['a', 'b'],
      ['', ''],
    ],
  ],
  [
    'a,b\r\n"1""2"," 3 "\r\n',
    [
      ['a', 'b'],
      ['1"2', ' 3 '],
    ],
  ],
  [
    'a,b\n1,',
    [
      ['a', 'b'],
      ['1', ''],
    ],
  ],
  ['', []],
])('CSV %j', (text, records) => {
  expect(parseCsv(text, 'x.csv').map(({ fields }) => fields)).toEqual(records)
})

test('a million records and no more', () => {
  expect(() => parseCsv('a\n'.repeat(2 ** 20 + 1), 'x.csv')).toThrow(
    dataError('x.csv line 1048577', 'at most 1048576 records'),
  )
})

test('line numbers count the breaks within quotes', () => {
  const records = parseCsv('a,b\n"x\ny\nz",1\n\r\n\n2,3\n', 'x.csv')
  expect(records.map(({ place }) => place.at)).toEqual(['line 1', 'line 2', 'line 7'])
})
