// A data root, a list or a folder that is there and cannot be read is never said to be missing.

import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { decode } from '../../../../lib/data/images.js'
import { readStore } from '../../../../lib/data/store/format.js'
import { closed } from '../../../support/other-user.js'
import { writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, tree } from '../../../support/tree.js'

/** Errors that no disk here can be made to give: by the start of a path. */
const planted = vi.hoisted(() => new Map<string, string>())
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const watched = ['readFile', 'readdir', 'open', 'stat', 'realpath'] as const
  const watch =
    (name: (typeof watched)[number]) =>
    async (path: string | Buffer, ...rest: unknown[]) => {
      for (const [start, code] of planted) {
        if (String(path).startsWith(start)) throw Object.assign(new Error(code), { code, path })
      }
      return (real[name] as (...all: unknown[]) => unknown)(path, ...rest)
    }
  return { ...real, ...Object.fromEntries(watched.map((name) => [name, watch(name)])) }
})
afterEach(() => planted.clear())

let root = ''
beforeAll(async () => {
  root = await tree({
    'folders/train/a/1.jpg': '',
    'folders/test/a/1.jpg': '',
    'list/list.csv': 'path,class,split\nx/1.jpg,a,train\nx/2.jpg,a,test\n',
    'list/x/1.jpg': '',
    'list/x/2.jpg': '',
  })
  for (const set of ['cub200', 'fgvc-aircraft', 'flowers102', 'stanford-cars'] as const) {
    mkdirSync(join(root, set))
    await writeTinySet(set, join(root, set))
  }
  const birds = { classes: 1, trainPerClass: 1, testPerClass: 1, size: 16 }
  await openDataset({ name: 'drawn-birds', root: join(root, 'birds'), ...birds })
})

/** Reader, root, and a list, folder or file below it that the reader needs. */
const places = [
  ['image-folder', 'folders', ''],
  ['image-folder', 'folders', 'train'],
  ['image-folder', 'folders', 'test/a'],
  ['csv', 'list', ''],
  ['csv', 'list', 'list.csv'],
  ['csv', 'list', 'x'],
  ['cub200', 'cub200', ''],
  ['cub200', 'cub200', 'images.txt'],
  ['cub200', 'cub200', 'images/002.Laysan_Albatross'],
  ['fgvc-aircraft', 'fgvc-aircraft', ''],
  ['fgvc-aircraft', 'fgvc-aircraft', 'data'],
  ['fgvc-aircraft', 'fgvc-aircraft', 'data/images_box.txt'],
  ['flowers102', 'flowers102', ''],
  ['flowers102', 'flowers102', 'setid.mat'],
  ['stanford-cars', 'stanford-cars', ''],
  ['stanford-cars', 'stanford-cars', 'devkit'],
  ['drawn-birds', 'birds', ''],
  ['drawn-birds', 'birds', 'drawn-birds.json'],
] as const

describe.each(places)('%s %s/%s', (name, folder, below) => {
  const open = () =>
    openDataset({ name, root: join(root, folder), classes: 1, trainPerClass: 1, testPerClass: 1 })
  const path = () => join(root, folder, below)

  test('permission denied', async () => {
    await closed(path(), () =>
      expect(open()).rejects.toEqual(dataError(path(), 'permission denied (EACCES)', 'right')),
    )
  })

  test.each(['ESTALE', 'EIO', 'ELOOP', 'ENAMETOOLONG', 'EMFILE'])('%s', async (code) => {
    planted.set(path(), code)
    const error = await open().catch((reason) => reason)
    expect(error).toMatchObject({ code: 'E_DATA', message: expect.stringContaining(`(${code}).`) })
    expect(error.message).not.toMatch(/nothing is there|has no folder|holds no|points at nothing/)
  })
})

test('links that cannot be followed: a circle, and one into a closed folder', async () => {
  const train = join(root, 'folders/train/a')
  const open = () => openDataset({ name: 'image-folder', root: join(root, 'folders') })
  symlinkSync('2.jpg', join(train, '2.jpg'))
  await expect(open()).rejects.toEqual(dataError('2.jpg', 'circle (ELOOP)'))
  rmSync(join(train, '2.jpg'))
})

test('an image and a store that may not be read', async () => {
  const image = join(root, 'folders/train/a/1.jpg')
  await closed(image, () =>
    expect(decode(image)).rejects.toMatchObject({
      code: 'E_IMAGE',
      message: expect.stringMatching(/1\.jpg cannot be read: permission denied \(EACCES\)\. Give/),
    }),
  )
  await closed(image, () =>
    expect(readStore(image, '')).rejects.toMatchObject({
      code: 'E_IO',
      message: expect.stringContaining('permission denied (EACCES)'),
    }),
  )
})
