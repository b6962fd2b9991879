import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { imageFolder } from '../../../../lib/data/datasets/image-folder.js'
import { dataError, empty, tree } from '../../../support/tree.js'

const sound = () =>
  tree(
    empty(
      'train/wren/b.jpg',
      'train/wren/a.PNG',
      'train/wren/c.jpeg',
      'train/Jay/1.webp',
      'test/Jay/1.jpg',
      'test/wren/2.jpg',
    ),
  )

describe('image-folder reads', () => {
  test('classes and files in the order of their names, labels by class', async () => {
    const root = await sound()
    expect(await imageFolder({ root })).toEqual({
      name: 'image-folder',
      classes: ['Jay', 'wren'],
      train: [
        { path: join(root, 'train/Jay/1.webp'), label: 0 },
        { path: join(root, 'train/wren/a.PNG'), label: 1 },
        { path: join(root, 'train/wren/b.jpg'), label: 1 },
        { path: join(root, 'train/wren/c.jpeg'), label: 1 },
      ],
      test: [
        { path: join(root, 'test/Jay/1.jpg'), label: 0 },
        { path: join(root, 'test/wren/2.jpg'), label: 1 },
      ],
    })
  })

  test('val where there is no test, test where there are both', async () => {
    const root = await sound()
    await rename(join(root, 'test'), join(root, 'val'))
    const { test: held } = await imageFolder({ root })
    expect(held.map(({ path }) => path)).toContain(join(root, 'val/Jay/1.jpg'))
    for (const name of ['Jay', 'wren']) {
      await mkdir(join(root, 'test', name), { recursive: true })
      await writeFile(join(root, 'test', name, 'other.jpg'), '')
    }
    const paths = (await imageFolder({ root })).test.map(({ path }) => path)
    expect(paths).toEqual([join(root, 'test/Jay/other.jpg'), join(root, 'test/wren/other.jpg')])
  })

  test('past other files, with a warning that counts them; hidden ones silently', async () => {
    const root = await sound()
    await writeFile(join(root, 'train/wren/notes.txt'), '')
    await writeFile(join(root, 'train/list.csv'), '')
    await writeFile(join(root, 'train/wren/.hidden.jpg'), '')
    const dataset = await imageFolder({ root })
    expect(dataset.train).toHaveLength(4)
    expect(dataset.warnings).toEqual([expect.stringContaining('2 entries')])
    expect(dataset.warnings?.[0]).toContain('train/list.csv')
  })

  test('through links that stay inside, and a linked root', async () => {
    const root = await sound()
    await symlink(join(root, 'train/wren/b.jpg'), join(root, 'train/wren/d.jpg'))
    const outside = await tree()
    await symlink(root, join(outside, 'linked'))
    const dataset = await imageFolder({ root: join(outside, 'linked') })
    expect(dataset.train.map(({ path }) => path)).toContain(join(root, 'train/wren/d.jpg'))
  })
})

describe('image-folder refuses', () => {
  test('a root that is missing, a file, or empty', async () => {
    const root = await tree(empty('file'))
    await expect(imageFolder({ root: join(root, 'none') })).rejects.toEqual(
      dataError(join(root, 'none'), 'nothing is there', 'ROOT/train/CLASS/IMAGE'),
    )
    await expect(imageFolder({ root: join(root, 'file') })).rejects.toEqual(
      dataError('it is a file'),
    )
    await expect(imageFolder({ root: await tree() })).rejects.toEqual(
      dataError('no folder train', 'Expected layout'),
    )
  })

  test.each([
    ['no test split', 'test', 'no folder test or val'],
    ['no training split', 'train', 'no folder train'],
    ['a class of train alone', 'test/Jay', 'only in train: Jay; only in test: none'],
    ['a class of test alone', 'train/wren', 'only in train: none; only in test: wren'],
  ])('%s', async (_name, without, message) => {
    const root = await sound()
    await rm(join(root, without), { recursive: true })
    await expect(imageFolder({ root })).rejects.toEqual(dataError(root, message, 'Expected layout'))
  })

  test('a class without images, a split without classes', async () => {
    const root = await sound()
    await mkdir(join(root, 'train/robin'))
    await writeFile(join(root, 'train/robin/readme.txt'), '')
    await expect(imageFolder({ root })).rejects.toEqual(dataError('train/robin has no images'))
    const flat = await tree(empty('train/a.jpg', 'test/x/a.jpg'))
    await expect(imageFolder({ root: flat })).rejects.toEqual(
      dataError('train has no class folders'),
    )
  })

  test('links that leave the root or lead nowhere', async () => {
    const outside = await tree(empty('secret.jpg', 'folder/a.jpg'))
    for (const [target, link] of [
      ['secret.jpg', 'train/wren/d.jpg'],
      ['folder', 'train/robin'],
    ] as const) {
      const root = await sound()
      await symlink(join(outside, target), join(root, link))
      await expect(imageFolder({ root })).rejects.toEqual(dataError(link, 'leaves the data root'))
    }
    const root = await sound()
    await symlink('nowhere.jpg', join(root, 'train/wren/d.jpg'))
    await expect(imageFolder({ root })).rejects.toEqual(dataError('d.jpg points at nothing'))
  })
})
