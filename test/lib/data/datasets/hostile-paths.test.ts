// Forty ways out of a data root, in every list and table that names files and in links: each is
// refused, and nothing outside the root is opened or listed while it is found out.

import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { variables } from '../../../support/mat-writer.js'
import { readerOf, type TinySet, tinySetNames, writeTinySet } from '../../../support/tiny-sets.js'
import { tree } from '../../../support/tree.js'

/** Real paths of all that lib/ has opened or listed. */
const opened = vi.hoisted(() => [] as string[])
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const { realpathSync } = await import('node:fs')
  const watched = ['readFile', 'readdir', 'open', 'opendir', 'cp', 'copyFile'] as const
  const watch =
    (name: (typeof watched)[number]) =>
    (path: string, ...rest: unknown[]) => {
      opened.push(realpathSync(path))
      return (real[name] as (...all: unknown[]) => unknown)(path, ...rest)
    }
  return { ...real, ...Object.fromEntries(watched.map((name) => [name, watch(name)])) }
})

let base = ''
let outside = ''
const sets = new Map<TinySet, string>()
beforeAll(async () => {
  base = realpathSync(await tree())
  outside = join(base, 'outside')
  mkdirSync(join(outside, 'folder'), { recursive: true })
  for (const set of tinySetNames) {
    await writeTinySet(set, join(base, set))
    sets.set(set, join(base, set))
  }
  writeFileSync(
    join(outside, 'secret.jpg'),
    readFileSync(join(base, 'flowers102/jpg/image_00001.jpg')),
  )
  cpSync(join(outside, 'secret.jpg'), join(outside, 'folder/secret.jpg'))
  opened.length = 0
})

/** A copy of a tiny set beside the others, under `base`. */
function copyOf(set: TinySet): string {
  const root = join(base, 'copy')
  cpSync(join(base, set), root, { recursive: true })
  return root
}
afterEach(() => {
  rmSync(join(base, 'copy'), { recursive: true, force: true })
  opened.length = 0
})

async function expectRefusal(name: string, root: string, checkFiles = true): Promise<void> {
  const within = realpathSync(root)
  await expect(openDataset({ name, root, checkFiles })).rejects.toMatchObject({ code: 'E_DATA' })
  expect(opened.filter((path) => path !== within && !path.startsWith(`${within}/`))).toEqual([])
}

const names: [string, string][] = [
  ['up', '../outside/secret.jpg'],
  ['up twice', '../../outside/secret.jpg'],
  ['up within', 'images/../../outside/secret.jpg'],
  ['up after a dot', './../outside/secret.jpg'],
  ['up at the end', 'images/../..'],
  ['up alone', '..'],
  ['the root itself', '.'],
  ['nothing', ''],
  ['a folder', 'images/'],
  ['up behind slashes', 'images//..//..//outside/secret.jpg'],
  ['absolute', 'ABSOLUTE'],
  ['absolute, two slashes', '//etc/passwd'],
  ['a device', '/dev/zero'],
  ['the environment', '/proc/self/environ'],
  ['the root folder', '/'],
  ['backslashes', '..\\outside\\secret.jpg'],
  ['a drive', 'C:\\outside\\secret.jpg'],
  ['a share', '\\\\host\\share\\secret.jpg'],
  ['NUL at the end', '../outside/secret.jpg\0'],
  ['NUL within', 'secret\0.jpg'],
  ['a URL', 'file:///etc/passwd'],
  ['a home folder', '~/secret.jpg'],
  ['a variable', '$HOME/secret.jpg'],
  ['escaped dots', '%2e%2e/outside/secret.jpg'],
  ['four dots', '....//outside/secret.jpg'],
  ['wide dots', '\uff0e\uff0e/outside/secret.jpg'],
  ['a name too long', `${'a'.repeat(300)}.jpg`],
  ['a path too long', `${'a/'.repeat(3000)}a.jpg`],
]

/** The file of each set with `name` in place of one image's. */
const withName: Record<string, (root: string, name: string) => void> = {
  cub200(root, name) {
    replaceLine(join(root, 'images.txt'), 4, `5 ${name}`)
  },
  'fgvc-aircraft'(root, name) {
    replaceLine(join(root, 'data/images_variant_test.txt'), 0, `${name} 707-320`)
  },
  'stanford-cars'(root, name) {
    writeFileSync(
      join(root, 'devkit/cars_train_annos.mat'),
      cars({ fname: name }, { fname: '00002.jpg' }),
    )
  },
  'stanford-cars-single'(root, name) {
    const other = { relative_im_path: 'car_ims/000002.jpg', test: [1] }
    writeFileSync(join(root, 'cars_annos.mat'), cars({ relative_im_path: name, test: [0] }, other))
  },
  csv(root, name) {
    const rows = ['path,class,split', `"${name}",a,train`, `${places.cub200.image},a,test`]
    writeFileSync(join(root, 'list.csv'), rows.join('\n'))
  },
}

function replaceLine(file: string, at: number, line: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').split('\n').with(at, line).join('\n'))
}

function cars(...names: Record<string, string | number[]>[]): Buffer {
  const box = { bbox_x1: [1], bbox_y1: [1], bbox_x2: [9], bbox_y2: [9] }
  const structs = names.map((name) => ({ ...box, class: [1], ...name }))
  return variables({ annotations: { structs }, class_names: { cell: ['one', 'two', 'three'] } })
}

/** Names that are right, in the same places. */
const rightNames: Record<string, string> = {
  cub200: '002.Laysan_Albatross/Albatross_5.jpg',
  'fgvc-aircraft': '0945863',
  'stanford-cars': '00001.jpg',
  'stanford-cars-single': 'car_ims/000001.jpg',
  csv: 'images/002.Laysan_Albatross/Albatross_2.jpg',
}

describe.each(Object.entries(withName))('%s refuses the name', (reader, change) => {
  test('(not a right one)', async () => {
    const set = (reader === 'csv' ? 'cub200' : reader) as TinySet
    const root = copyOf(set)
    change(root, rightNames[reader] as string)
    await openDataset({ name: reader === 'csv' ? 'csv' : readerOf(set), root })
  })

  test.each(names)('%s', async (_, name) => {
    const set = (reader === 'csv' ? 'cub200' : reader) as TinySet
    const root = copyOf(set)
    change(root, name === 'ABSOLUTE' ? join(outside, 'secret.jpg') : name)
    await expectRefusal(reader === 'csv' ? 'csv' : readerOf(set), root)
  })
})

/** A list and an image of each set. */
const places: Record<TinySet, { list: string; image: string }> = {
  cub200: { list: 'images.txt', image: 'images/001.Black_footed_Albatross/Albatross_1.jpg' },
  'fgvc-aircraft': { list: 'data/images_variant_test.txt', image: 'data/images/0056978.jpg' },
  flowers102: { list: 'setid.mat', image: 'jpg/image_00001.jpg' },
  'stanford-cars': { list: 'devkit/cars_meta.mat', image: 'cars_test/00001.jpg' },
  'stanford-cars-single': { list: 'cars_annos.mat', image: 'car_ims/000001.jpg' },
}

type Place = { root: string; list: string; image: string }
const link = (from: string, to: string) => {
  rmSync(from, { recursive: true, force: true })
  symlinkSync(to, from)
}

const links: [string, (place: Place) => void][] = [
  ['an image to a file outside', ({ image }) => link(image, join(outside, 'secret.jpg'))],
  [
    'an image to a file outside, relatively',
    ({ image }) => link(image, relative(dirname(image), join(outside, 'secret.jpg'))),
  ],
  ['an image to a folder outside', ({ image }) => link(image, outside)],
  ['an image to a device', ({ image }) => link(image, '/dev/zero')],
  [
    'an image to a link that leads outside',
    ({ root, image }) => {
      link(join(root, 'inner.jpg'), join(outside, 'secret.jpg'))
      link(image, join(root, 'inner.jpg'))
    },
  ],
  [
    'the folder of images',
    ({ image }) => {
      cpSync(dirname(image), join(outside, 'images'), { recursive: true })
      link(dirname(image), join(outside, 'images'))
    },
  ],
  [
    'the folder of images by a chain',
    ({ root, image }) => {
      link(join(root, 'inner'), join(outside, 'images'))
      link(dirname(image), join(root, 'inner'))
    },
  ],
  [
    'a list to a right one outside',
    ({ list }) => {
      cpSync(list, join(outside, 'list'))
      link(list, join(outside, 'list'))
    },
  ],
  ['a list to a device', ({ list }) => link(list, '/dev/zero')],
]
const broken: [string, (place: Place) => void][] = [
  ['an image to nothing', ({ image }) => link(image, join(outside, 'nothing.jpg'))],
  ['an image to itself', ({ image }) => link(image, image)],
]
const odd: [string, (place: Place) => void][] = [
  [
    'a pipe for a list',
    ({ list }) => {
      rmSync(list)
      execFileSync('mkfifo', [list])
    },
  ],
]

describe.each(Object.entries(places))('%s refuses', (set, { list, image }) => {
  const name = readerOf(set as TinySet)
  const prepare = (change: (place: Place) => void) => {
    const root = copyOf(set as TinySet)
    change({ root, list: join(root, list), image: join(root, image) })
    return root
  }
  test('(not the set itself, nor links within it)', async () => {
    const root = prepare(({ root, list, image }) => {
      for (const [at, file] of [list, image].entries()) {
        renameSync(file, join(root, `moved-${at}`))
        link(file, join(root, `moved-${at}`))
      }
    })
    await openDataset({ name, root })
  })

  test.each(links)('a link: %s', async (_, change) => {
    const root = prepare(change)
    await expectRefusal(name, root)
    await expectRefusal(name, root, false)
  })

  test.each([...broken, ...odd])('%s', async (_, change) => {
    await expectRefusal(name, prepare(change))
  })
})

test('forty ways', () => {
  expect(names.length + links.length + broken.length + odd.length).toBe(40)
})

test('the watch sees what is opened', async () => {
  const root = join(base, 'cub200')
  await openDataset({ name: 'cub200', root })
  expect(opened).toContain(join(root, 'images.txt'))
  expect(opened).toContain(join(root, 'images/001.Black_footed_Albatross'))
})
