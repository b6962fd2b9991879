import { readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { AIRCRAFT_OFFICIAL, fgvcAircraft } from '../../../../lib/data/datasets/fgvc-aircraft.js'
import { writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, empty, tree } from '../../../support/tree.js'

async function folder(): Promise<string> {
  const root = await tree()
  await writeTinySet('fgvc-aircraft', root)
  return root
}

test('trainval against test, boxes from 0, the strip to cut', async () => {
  const root = await folder()
  const { classes, train, test: held } = await fgvcAircraft({ root })
  expect(classes).toEqual(['707-320', 'F/A-18', 'DC-9-30'])
  const image = (id: string) => join(root, 'data/images', `${id}.jpg`)
  expect(train.slice(0, 2)).toEqual([
    { path: image('0056978'), label: 0, box: [0, 2, 20, 26], cropBottom: 20 },
    { path: image('0155743'), label: 1, box: [0, 2, 21, 26], cropBottom: 20 },
  ])
  expect(train).toHaveLength(9)
  expect(held[0]).toMatchObject({ path: image('0945863'), label: 0 })
  expect(held).toHaveLength(6)
})

test('the coarser levels have their own classes', async () => {
  const root = await folder()
  const read = (level: 'family' | 'manufacturer') => fgvcAircraft({ root, level })
  expect((await read('family')).classes).toEqual(['Boeing 707', 'F/A-18', 'DC-9'])
  const { classes, train } = await read('manufacturer')
  expect(classes).toEqual(['Boeing', 'McDonnell Douglas'])
  expect(train.map(({ label }) => label)).toEqual([0, 1, 1, 0, 1, 1, 0, 1, 1])
})

test('without cropStrip and without boxes', async () => {
  const root = await folder()
  await rm(join(root, 'data/images_box.txt'))
  const { train } = await fgvcAircraft({ root, cropStrip: false })
  expect(Object.keys(train[0] ?? {})).toEqual(['path', 'label'])
})

test('from the parent and from the folder data', async () => {
  const parent = await tree()
  const root = join(parent, 'fgvc-aircraft-2013b')
  await writeTinySet('fgvc-aircraft', root)
  const [first] = (await fgvcAircraft({ root })).train
  expect((await fgvcAircraft({ root: parent })).train[0]).toEqual(first)
  expect((await fgvcAircraft({ root: join(root, 'data') })).train[0]).toEqual(first)
})

test('the official counts: 10,000 images', () => {
  for (const { train, test: held } of Object.values(AIRCRAFT_OFFICIAL)) {
    expect(train + held).toBe(10_000)
  }
})

describe('refuses', () => {
  test.each([
    [
      'a class there is not',
      'images_variant_test.txt',
      '0945863 Concorde',
      'class of variants.txt',
    ],
    ['an id of six digits', 'images_variant_test.txt', '945863 707-320', 'seven digits'],
    ['a path', 'images_variant_test.txt', '../../../etc/passwd 707-320', 'seven digits'],
    ['a line without a class', 'images_variant_test.txt', '0945863', 'seven digits'],
    ['an image of both splits', 'images_variant_test.txt', '0056978 707-320', 'does not list'],
    ['an image that is not there', 'images_variant_test.txt', '9999999 707-320', 'exists'],
    ['a box of three', 'images_box.txt', '0056978 1 2 3', 'a box'],
    ['a box turned round', 'images_box.txt', '0056978 30 2 3 9', 'a box'],
    ['a box of words', 'images_box.txt', '0056978 1 2 3 x', 'a corner'],
    ['a class twice', 'variants.txt', '707-320', 'listed twice'],
  ])('%s', async (_name, list, line, part) => {
    const root = await folder()
    const file = join(root, 'data', list)
    const lines = (await readFile(file, 'utf8')).split('\n')
    await writeFile(file, [line, ...lines].join('\n'))
    const named = part === 'listed twice' ? [part] : [`${list} line 1`, part]
    await expect(fgvcAircraft({ root })).rejects.toEqual(dataError(...named))
  })

  test('a list that is missing, empty, a folder or a link out of the root', async () => {
    const root = await folder()
    const list = join(root, 'data/images_variant_trainval.txt')
    await rm(list)
    await expect(fgvcAircraft({ root })).rejects.toEqual(dataError(list, 'ENOENT'))
    await writeFile(list, '\n\n')
    await expect(fgvcAircraft({ root })).rejects.toEqual(dataError(list, 'is empty'))
    await rm(list)
    await symlink(await tree(empty('elsewhere')), list)
    await expect(fgvcAircraft({ root })).rejects.toEqual(dataError(list, 'leaves the data root'))
    await expect(fgvcAircraft({ root: await tree() })).rejects.toEqual(
      dataError('no variants.txt', 'fgvc-aircraft-2013b.tar.gz'),
    )
  })
})
