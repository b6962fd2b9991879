import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { formatDataReport } from '../../../lib/cli/reports/data.js'
import type { Dataset } from '../../../lib/data/batch.js'
import { checkData, type DataReport } from '../../../lib/data/check.js'
import { type DatasetOptions, openDataset } from '../../../lib/data/datasets/index.js'
import { encodePng } from '../../../lib/data/images.js'
import { McLossError } from '../../../lib/errors.js'
import { writeBadImages } from '../../support/bad-images.js'
import { tree } from '../../support/tree.js'

vi.mock('../../../lib/data/datasets/index.js', async (original) => {
  const real = await original<typeof import('../../../lib/data/datasets/index.js')>()
  return { ...real, openDataset: vi.fn(real.openDataset) }
})
afterEach(() => vi.mocked(openDataset).mockClear())

/** A PNG of one colour. */
async function picture(path: string, width: number, height: number, colour: number) {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(
    path,
    await encodePng({ pixels: new Uint8Array(width * height * 3).fill(colour), width, height }),
  )
}

let root = ''
const at = (path: string) => join(root, path)
let bad = ''

// train: a 3 images, b 1; test: a 1, b 2.
beforeAll(async () => {
  root = await tree()
  await picture(at('train/a/1.png'), 20, 30, 10)
  await picture(at('train/a/2.png'), 25, 25, 20)
  await picture(at('train/b/1.png'), 60, 40, 30)
  await picture(at('test/a/1.png'), 7, 9, 40)
  await picture(at('test/b/1.png'), 31, 31, 50)
  await copyFile(at('train/a/1.png'), at('test/b/2.png'))
  await copyFile(at('train/a/2.png'), at('train/a/3.png'))
  bad = await tree()
})

test('a CSV list is ok by its file and by its folder', async () => {
  const lines = ['path,class,split', 'train/a/1.png,a,train', 'test/a/1.png,a,test']
  await writeFile(at('list.csv'), lines.join('\n'))
  for (const place of [at('list.csv'), root]) {
    const report = await checkData('csv', { root: place })
    expect(report).toMatchObject({ ok: true, files: 2, missing: [], unreadable: [] })
  }
})

describe('a sound folder', () => {
  let report: DataReport
  const progress: [number, number][] = []
  beforeAll(async () => {
    report = await checkData('image-folder', { root, onProgress: (...now) => progress.push(now) })
  })

  test('is ok: counts, sizes, kinds, balance', () => {
    expect(report).toMatchObject({
      ok: true,
      name: 'image-folder',
      root,
      classes: 2,
      files: 7,
      missing: [],
      unreadable: [],
      damaged: [],
      countsDiffer: null,
      sizes: {
        smallest: { path: at('test/a/1.png'), width: 7, height: 9 },
        largest: { path: at('train/b/1.png'), width: 60, height: 40 },
      },
      kinds: { rgb: 7, grey: 0, cmyk: 0, alpha: 0, sixteenBit: 0 },
      train: {
        images: 4,
        smallestClass: { class: 'b', images: 1 },
        largestClass: { class: 'a', images: 3 },
        emptyClasses: [],
      },
      test: {
        images: 3,
        smallestClass: { class: 'a', images: 1 },
        largestClass: { class: 'b', images: 2 },
        emptyClasses: [],
      },
    })
  })

  test('names copies, across the splits and within one', () => {
    expect(report.duplicates).toEqual({
      acrossSplits: [
        {
          sameClass: false,
          files: [
            { path: at('train/a/1.png'), split: 'train', class: 'a' },
            { path: at('test/b/2.png'), split: 'test', class: 'b' },
          ],
        },
      ],
      withinSplit: [
        {
          sameClass: true,
          files: [
            { path: at('train/a/2.png'), split: 'train', class: 'a' },
            { path: at('train/a/3.png'), split: 'train', class: 'a' },
          ],
        },
      ],
    })
    expect(report.warnings).toEqual([
      'image-folder: images that are in train and in test, by content: 1.',
      'image-folder: images that are in more than one class, by content: 1.',
    ])
  })

  test('counts up to the number of files', () => {
    expect(progress.map(([done]) => done)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(new Set(progress.map(([, total]) => total))).toEqual(new Set([7]))
  })

  test('is the same whatever finishes first, and plain JSON', async () => {
    expect(JSON.parse(JSON.stringify(await checkData('image-folder', { root })))).toEqual(report)
  })

  test('as text', () => {
    const text = formatDataReport(report)
    expect(text.split('\n')).toEqual([
      `image-folder  ${root}`,
      'classes       2',
      'train         4 images, 1 (b) to 3 (a) in a class',
      'test          3 images, 1 (a) to 2 (b) in a class',
      'smallest      7x9 (test/a/1.png)',
      'largest       60x40 (train/b/1.png)',
      'kinds         7 RGB, 0 grey, 0 CMYK; 0 with alpha, 0 of 16 bits',
      'missing       0 of 7 files',
      'unreadable    0',
      'damaged       0',
      'duplicates    1 across train and test, 1 within a split',
      '  train train/a/1.png (a) = test test/b/2.png (b)',
      '  train train/a/2.png = train train/a/3.png',
      'warning: image-folder: images that are in train and in test, by content: 1.',
      'warning: image-folder: images that are in more than one class, by content: 1.',
      'result        ok',
    ])
  })
})

test('what is wrong with files is listed with its reason and stops nothing', async () => {
  const files = await writeBadImages(bad)
  const usable = files.filter(({ outcome }) => outcome !== 'E_IMAGE')
  const dangling = join(bad, 'dangling-link.jpg')
  const gone = join(bad, 'gone.jpg')
  const dataset: Dataset = {
    classes: ['a', 'b', 'nobody'],
    train: files.map(({ path }) => ({ path, label: 0 })),
    test: [
      { path: gone, label: 1 },
      { path: join(bad, 'no-ending'), label: 1 },
    ],
    warnings: ['the reader has a word to say.'],
  }
  const report = await checkData('own', { dataset })
  expect(report).toMatchObject({ ok: false, root: null, files: files.length + 1 })
  expect(report.missing).toEqual([dangling, gone])
  expect(report.unreadable.map(({ path }) => path)).toEqual(
    files.flatMap(({ path, outcome }) => (outcome === 'E_IMAGE' && path !== dangling ? path : [])),
  )
  const reasonOf = (name: string) =>
    report.unreadable.find(({ path }) => path === join(bad, name))?.reason
  expect(reasonOf('empty.jpg')).toBe('is empty')
  expect(reasonOf('folder.jpg')).toBe('is a folder')
  expect(reasonOf('pipe.jpg')).toBe('is not a file')
  expect(reasonOf('link-loop.jpg')).toBe('cannot be read: its links lead in a circle (ELOOP)')
  expect(reasonOf('truncated-10-of-20.jpg')).toMatch(/^cannot be decoded \(.*premature end/)
  expect(report.damaged.map(({ path }) => path)).toContain(join(bad, 'jpeg-twice-as-tall.jpg'))
  const { rgb, grey, cmyk, alpha, sixteenBit } = report.kinds
  expect(rgb + grey + cmyk).toBe(usable.length)
  expect(cmyk).toBe(usable.filter(({ path }) => path.includes('cmyk')).length)
  expect([alpha, sixteenBit]).toEqual([3, 2])
  expect(report.test.emptyClasses).toEqual(['a', 'nobody'])
  expect(report.warnings).toContain('the reader has a word to say.')
  expect(report.warnings).toContain('own: classes without an image in train: 2.')

  // The same path in both splits is one file, read once, and a duplicate.
  expect(report.duplicates.acrossSplits.flatMap((group) => group.files)).toContainEqual({
    path: join(bad, 'no-ending'),
    split: 'test',
    class: 'b',
  })
  const text = formatDataReport(report)
  expect(text).toContain('  and ')
  expect(text).toMatch(/result +not ok: 2 missing, \d+ unreadable$/)
})

describe('readers', () => {
  test('leave missing files to the report; a link out of the root is not read', async () => {
    const folder = await tree()
    const images = join(folder, 'images')
    await picture(join(images, '1.png'), 5, 5, 1)
    await symlink(at('train/b/1.png'), join(images, 'out.png'))
    await symlink('1.png', join(images, 'in.png'))
    const sample = (name: string) => ({ path: join(images, name), label: 0 })
    const dataset: Dataset = {
      classes: ['a'],
      train: [sample('1.png'), sample('gone.png')],
      test: [sample('out.png'), sample('in.png')],
    }
    const report = await checkData('own', { dataset, root: images })
    expect(vi.mocked(openDataset).mock.lastCall?.[0]).toMatchObject({ checkFiles: false })
    expect(report).toMatchObject({
      ok: false,
      missing: [join(images, 'gone.png')],
      unreadable: [
        { path: join(images, 'out.png'), reason: 'is a link that leaves the data root' },
      ],
      sizes: { largest: { width: 5 } },
      kinds: { rgb: 2 },
    })
  })

  test('strict: counts that differ are not ok, and the rest is told too', async () => {
    const real = vi.mocked(openDataset).getMockImplementation() as typeof openDataset
    vi.mocked(openDataset).mockImplementation(async (options: DatasetOptions) => {
      if (options.strict) throw new McLossError('E_DATA', 'expected 9 but received 7')
      return real(options)
    })
    const strict = await checkData('image-folder', { root, strict: true })
    const plain = await checkData('image-folder', { root })
    vi.mocked(openDataset).mockImplementation(real)
    expect(strict).toEqual({ ...plain, ok: false, countsDiffer: 'expected 9 but received 7' })
    expect(formatDataReport(strict)).toMatch(/not ok: expected 9 but received 7$/)
  })

  test('lists that do not hold together are an error, not a report', async () => {
    await expect(checkData('cub200', { root })).rejects.toMatchObject({ code: 'E_DATA' })
    await expect(checkData('cub300', { root })).rejects.toMatchObject({ code: 'E_CONFIG' })
  })
})

test('an abort ends it', async () => {
  const stop = new AbortController()
  let files = 0
  const checking = checkData('image-folder', {
    root,
    signal: stop.signal,
    onProgress: () => {
      if (++files === 2) stop.abort()
    },
  })
  await expect(checking).rejects.toMatchObject({ code: 'E_ABORTED' })
  expect(files).toBeLessThan(7)
})

test("a file's name cannot write to the terminal", async () => {
  const folder = await tree()
  for (const split of ['train', 'test']) {
    await picture(join(folder, split, 'a\x1b[2J', '1.png'), 3, 3, 1)
  }
  const text = formatDataReport(await checkData('image-folder', { root: folder }))
  expect(text).toContain('a\\x1b[2J')
  expect(text).not.toContain('\x1b')
})

test('the hash is of the bytes: another encoding of the same pixels is no duplicate', async () => {
  const folder = await tree()
  await picture(join(folder, 'train/a/1.png'), 3, 3, 1)
  await mkdir(join(folder, 'test/a'), { recursive: true })
  const bytes = await readFile(join(folder, 'train/a/1.png'))
  await writeFile(join(folder, 'test/a/1.png'), Buffer.concat([bytes, Buffer.alloc(1)]))
  const { ok, duplicates } = await checkData('image-folder', { root: folder })
  expect({ ok, ...duplicates }).toEqual({ ok: true, acrossSplits: [], withinSplit: [] })
})

test('an image with no more rows than its reader cuts off is unreadable', async () => {
  const sample = (path: string) => ({ path: at(path), label: 0, cropBottom: 30 })
  const dataset: Dataset = {
    classes: ['a'],
    train: [sample('train/a/1.png')],
    test: [sample('test/b/1.png')],
  }
  const reason = 'has 30 rows, of which 30 are cut off its bottom'
  const report = await checkData('own', { dataset })
  expect(report).toMatchObject({ ok: false, unreadable: [{ path: at('train/a/1.png'), reason }] })
})
