import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { flowers102 } from '../../../../lib/data/datasets/flowers102.js'
import { type Plain, variables } from '../../../support/mat-writer.js'
import { writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, tree } from '../../../support/tree.js'

async function folder(): Promise<string> {
  const root = await tree()
  await writeTinySet('flowers102', root)
  return root
}

test.each(['packed', 'plain', 'doubles'])(
  'trnid and valid against tstid (files as SciPy writes them: %s)',
  async (kind) => {
    const root = await folder()
    const fixtures = join(import.meta.dirname, '../../..', 'fixtures', 'mat5', kind)
    for (const name of ['imagelabels.mat', 'setid.mat']) {
      await cp(join(fixtures, name), join(root, name))
    }
    const { classes, train, test: held } = await flowers102({ root })
    const image = (id: number, label: number) => ({
      path: join(root, `jpg/image_${String(id).padStart(5, '0')}.jpg`),
      label,
    })
    expect(classes).toEqual(['001', '002', '003'])
    expect(train).toEqual([
      ...[image(1, 0), image(2, 0), image(6, 1), image(7, 1), image(11, 2), image(12, 2)],
      ...[image(3, 0), image(8, 1), image(13, 2)],
    ])
    expect(held.map(({ label }) => label)).toEqual([0, 0, 1, 1, 2, 2])
  },
)

test('from the parent of flowers-102', async () => {
  const root = await tree()
  await writeTinySet('flowers102', join(root, 'flowers-102'))
  expect((await flowers102({ root })).train).toHaveLength(9)
})

describe('refuses', () => {
  const labels = [1, 1, 2, 2]
  const splits = { trnid: [1], valid: [3], tstid: [2, 4] }
  test.each([
    ['label 0', { labels: [0, 1, 2, 2] }, splits, ['imagelabels.mat labels(1)', "'0'"]],
    ['label 1.5', { labels: [1, 1.5, 2, 2] }, splits, ['imagelabels.mat labels(2)', "'1.5'"]],
    ['label NaN', { labels: [1, NaN, 2, 2] }, splits, ['imagelabels.mat labels(2)']],
    ['a million classes', { labels: [1e6, 1, 1, 1] }, splits, ['labels(1)', '1..10000']],
    ['text for labels', { labels: 'roses' }, splits, ['imagelabels.mat labels', 'numbers']],
    ['no labels', { names: labels }, splits, ['the variable labels', 'it holds names']],
    ['id 5 of 4', { labels }, { ...splits, valid: [5] }, ['setid.mat valid(1)', '1..4']],
    ['id 0', { labels }, { ...splits, trnid: [0] }, ['setid.mat trnid(1)', '1..4']],
    ['an id twice', { labels }, { ...splits, tstid: [2, 1] }, ['setid.mat tstid(2)', 'trnid(1)']],
    ['no test', { labels }, { ...splits, tstid: [] }, ['test split', 'empty']],
    ['no valid', { labels }, { trnid: [1], tstid: [2] }, ['the variable valid']],
  ] as [string, Record<string, Plain>, Record<string, Plain>, string[]][])(
    '%s',
    async (_name, labelFile, splitFile, parts) => {
      const root = await folder()
      await writeFile(join(root, 'imagelabels.mat'), variables(labelFile))
      await writeFile(join(root, 'setid.mat'), variables(splitFile))
      await expect(flowers102({ root })).rejects.toEqual(dataError(...parts))
    },
  )

  test('(the tables above are right but for one thing)', async () => {
    const root = await folder()
    await writeFile(join(root, 'imagelabels.mat'), variables({ labels }))
    await writeFile(join(root, 'setid.mat'), variables(splits))
    expect((await flowers102({ root })).train.map(({ label }) => label)).toEqual([0, 1])
  })

  test('an image that is not there, a root of something else', async () => {
    const root = await folder()
    await rm(join(root, 'jpg/image_00008.jpg'))
    await expect(flowers102({ root })).rejects.toEqual(
      dataError('setid.mat valid(2)', 'a file that exists', 'image_00008.jpg'),
    )
    expect((await flowers102({ root, checkFiles: false })).train).toHaveLength(9)
    await expect(flowers102({ root: await tree() })).rejects.toEqual(
      dataError('no imagelabels.mat'),
    )
  })
})
