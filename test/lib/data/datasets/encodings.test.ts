// Lists in other encodings than UTF-8: every text list of every reader.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csv } from '../../../../lib/data/datasets/csv.js'
import { drawnBirds } from '../../../../lib/data/datasets/drawn-birds.js'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { type TinySet, writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, empty, tree } from '../../../support/tree.js'

const lists: [TinySet, string][] = [
  ['cub200', 'classes.txt'],
  ['cub200', 'images.txt'],
  ['cub200', 'image_class_labels.txt'],
  ['cub200', 'train_test_split.txt'],
  ['cub200', 'bounding_boxes.txt'],
  ['fgvc-aircraft', 'data/variants.txt'],
  ['fgvc-aircraft', 'data/images_variant_trainval.txt'],
  ['fgvc-aircraft', 'data/images_variant_test.txt'],
  ['fgvc-aircraft', 'data/images_box.txt'],
]

describe.each(lists)('%s %s', (name, list) => {
  test('takes a byte order mark, refuses Windows-1252 and UTF-16', async () => {
    const root = await tree()
    await writeTinySet(name, root)
    const file = join(root, list)
    const text = readFileSync(file, 'utf8')
    const plain = await openDataset({ name, root })

    writeFileSync(file, `\ufeff${text}`)
    expect(await openDataset({ name, root })).toEqual(plain)

    writeFileSync(file, Buffer.from(text.replace('\n', '\nä'), 'latin1'))
    const refused = dataError(`${list} line 2`, '0xe4', 'Windows-1252', 'iconv')
    await expect(openDataset({ name, root })).rejects.toEqual(refused)

    writeFileSync(file, Buffer.from(`\ufeff${text}`, 'utf16le'))
    await expect(openDataset({ name, root })).rejects.toEqual(
      dataError(`${list} line 1`, '0xff', 'UTF-16'),
    )
  })
})

const LIST = ['path,class,split', '1.jpg,Kälte,train', '2.jpg,Költe,train', '3.jpg,Kälte,test']

test('csv: two classes that differ in a byte stay two, or are refused', async () => {
  const root = await tree(empty('1.jpg', '2.jpg', '3.jpg'))
  const file = join(root, 'list.csv')
  writeFileSync(file, LIST.join('\n'))
  expect((await csv({ root })).classes).toEqual(['Kälte', 'Költe'])
  writeFileSync(file, Buffer.from(LIST.join('\n'), 'latin1'))
  await expect(csv({ root })).rejects.toEqual(
    dataError(`${file} line 2`, '0xe4', "'1.jpg,Kälte,train'", 'Windows-1252'),
  )
})

test('drawn-birds: its sheet may have a byte order mark', async () => {
  const root = join(await tree(), 'birds')
  const options = { root, classes: 1, trainPerClass: 1, testPerClass: 1, size: 16 }
  const plain = await drawnBirds(options)
  const sheet = join(root, 'drawn-birds.json')
  writeFileSync(sheet, `\ufeff${readFileSync(sheet, 'utf8')}`)
  expect(await drawnBirds(options)).toEqual(plain)
})
