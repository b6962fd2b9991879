import { execFileSync } from 'node:child_process'
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

  test('past other files and hidden images, with a warning that counts them', async () => {
    const root = await sound()
    await writeFile(join(root, 'train/wren/notes.txt'), '')
    await writeFile(join(root, 'train/list.csv'), '')
    await writeFile(join(root, 'train/wren/.hidden.jpg'), '')
    const dataset = await imageFolder({ root })
    expect(dataset.train).toHaveLength(4)
    expect(dataset.warnings).toEqual([expect.stringContaining('2 entries')])
    expect(dataset.warnings?.[0]).toContain('train/list.csv')
    expect(dataset.warnings?.[0]).toContain('1 hidden image, train/wren/.hidden.jpg')
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

const numbered = (folder: string, count: number, ending = 'jpg') =>
  Array.from({ length: count }, (_, at) => `${folder}/${at}.${ending}`)

describe('image-folder reads below a class', () => {
  test('every folder, and a link to one, in the order of their paths', async () => {
    const days = [...numbered('train/a', 6), ...numbered('train/a/day2', 40)]
    const root = await tree(
      empty(...days, 'train/a/day-1/9.png', 'train/a/day2/x/z.jpg', 'test/a/t.jpg'),
    )
    await symlink('day2/x', join(root, 'train/a/link'))
    const { train, warnings } = await imageFolder({ root })
    // By Python, as torchvision orders them: sorted(os.walk(folder, followlinks=True)), sorted(names).
    const program = [
      'import os, sys, json',
      'walk = sorted(os.walk(sys.argv[1], followlinks=True))',
      'print(json.dumps([os.path.join(at, name) for at, _, names in walk for name in sorted(names)]))',
    ].join('\n')
    const walked = execFileSync('python3', ['-c', program, join(root, 'train/a')], {
      encoding: 'utf8',
    })
    expect(train.map(({ path }) => path)).toEqual(JSON.parse(walked))
    expect(train).toHaveLength(49)
    expect(new Set(train.map(({ label }) => label))).toEqual(new Set([0]))
    expect(warnings).toBeUndefined()
  })

  test('what is left out, by reason, with the number of images', async () => {
    const root = await tree(
      empty(
        ...numbered('train/a/day2', 3, 'bmp'),
        'train/a/1.jpg',
        'train/a/0.tif',
        'train/a/._1.jpg', // macOS's, no image
        'train/a/.DS_Store',
        'train/a/notes.txt',
        ...numbered('train/.ipynb_checkpoints/b', 2),
        ...numbered('train', 2, 'png'),
        'test/a/1.jpg',
        ...numbered('val/a', 5),
      ),
    )
    execFileSync('mkfifo', [join(root, 'train/a/pipe.jpg')])
    const { train, warnings } = await imageFolder({ root })
    expect(train).toHaveLength(1)
    expect(warnings).toEqual([
      `image-folder: left out under ${root}: ` +
        '4 images in formats that are not read (.bmp, .tif), the first is train/a/0.tif; ' +
        '2 hidden images, the first is train/.ipynb_checkpoints/b/0.jpg; ' +
        '2 images in no class folder, the first is train/0.png; ' +
        '5 images of val, which is read only without test, the first is val/a/0.jpg; ' +
        '1 entry that is no image by its ending, train/a/notes.txt; ' +
        '1 entry that is neither file nor folder, train/a/pipe.jpg.',
    ])
  })

  test('a class of images that are not read is refused with what it holds', async () => {
    const root = await tree(empty(...numbered('train/a', 40, 'bmp'), 'test/a/1.jpg'))
    await expect(imageFolder({ root })).rejects.toEqual(
      dataError('train/a has no images, only 40 images in formats that are not read (.bmp)'),
    )
  })

  test('a link to a folder that it lies in is refused', async () => {
    const root = await sound()
    await mkdir(join(root, 'train/Jay/deep'))
    await symlink('../..', join(root, 'train/Jay/deep/up'))
    await symlink('.', join(root, 'test/wren/self'))
    await expect(imageFolder({ root })).rejects.toEqual(dataError('in which it lies'))
  })
})

describe('image-folder and names that are not UTF-8', () => {
  const bytes = (root: string, text: string) => Buffer.from(join(root, text), 'latin1')
  test.each([
    ['a class', 'train/K\xe4lte', 'a.jpg', 'K\\xe4lte'],
    ['a folder below', 'train/Jay/K\xe4lte', 'a.jpg', 'K\\xe4lte'],
    ['an image', 'train/Jay', 'K\xf6.jpg', 'K\\xf6.jpg'],
  ])('%s is refused, its bytes shown', async (_, folder, file, shown) => {
    const root = await sound()
    await mkdir(bytes(root, folder), { recursive: true })
    await writeFile(bytes(root, `${folder}/${file}`), '')
    await expect(imageFolder({ root })).rejects.toEqual(
      dataError(`${shown} is not UTF-8`, 'Rename'),
    )
  })

  test('a link, a root and a folder above it', async () => {
    const outside = await tree()
    const root = join(outside, 'link')
    await mkdir(bytes(outside, 'n\xfc'))
    await symlink(bytes(outside, 'n\xfc'), root)
    await expect(imageFolder({ root })).rejects.toEqual(dataError('n\\xfc is not UTF-8'))
    const inner = await sound()
    await rename(join(inner, 'train/Jay'), bytes(inner, 'train/J\xe4y'))
    await symlink(Buffer.from('J\xe4y', 'latin1'), join(inner, 'train/Jay'))
    await expect(imageFolder({ root: inner })).rejects.toEqual(dataError('J\\xe4y is not UTF-8'))
  })

  test('other files and hidden ones may have them', async () => {
    const root = await sound()
    await writeFile(bytes(root, 'train/Jay/n\xf6tes.txt'), '')
    await writeFile(bytes(root, 'train/Jay/.n\xf6.swp'), '')
    const { train, warnings } = await imageFolder({ root })
    expect(train).toHaveLength(4)
    expect(warnings?.[0]).toContain('train/Jay/n\\xf6tes.txt')
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
