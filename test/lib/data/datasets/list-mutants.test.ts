// Damaged lists under the readers: E_DATA, or a data set of files that are there, each once, whose
// untouched images have their label, split and box. 3,000 in every run, 30,000 with MCLOSS_SOAK=1.

import { cpSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Dataset } from '../../../../lib/data/batch.js'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { McLossError } from '../../../../lib/errors.js'
import { soak } from '../../../support/fixture-lines.js'
import { words } from '../../../support/formula-weights.js'
import { int32 } from '../../../support/mat-writer.js'
import { type Mutant, mutate } from '../../../support/mutate.js'
import { type TinySet, writeTinySet } from '../../../support/tiny-sets.js'
import { tree } from '../../../support/tree.js'

const COUNT = (soak ? 30_000 : 3_000) / 5
const plain = join(import.meta.dirname, '../../..', 'fixtures', 'mat5', 'plain')

const sets: Record<string, { set: TinySet; lists: string[] }> = {
  cub200: {
    set: 'cub200',
    lists: ['images', 'image_class_labels', 'train_test_split', 'bounding_boxes', 'classes'].map(
      (name) => `${name}.txt`,
    ),
  },
  'fgvc-aircraft': {
    set: 'fgvc-aircraft',
    lists: ['variants', 'images_variant_trainval', 'images_variant_test', 'images_box'].map(
      (name) => `data/${name}.txt`,
    ),
  },
  flowers102: { set: 'flowers102', lists: ['imagelabels.mat', 'setid.mat'] },
  'stanford-cars': { set: 'stanford-cars-single', lists: ['cars_annos.mat'] },
  csv: { set: 'fgvc-aircraft', lists: ['list.csv'] },
}

const texts = ['\n', '\r\n', ',', '"', '""', ' ', '/', '..', '\\', '\0', '\ufeff', '0', '-1', '1.5']
  .concat(['99999999999', 'é', '../../../etc/passwd', 'train', 'test', '7 ', '1 1\n'])
  .map((text) => Buffer.from(text))
const numbers = [0, 1, 7, 255, -1, 2 ** 31 - 1].map((value) => int32(value))

/** Label or class, split and box of each image by path. */
function images({ train, test: held, classes }: Dataset, byClass: boolean): Map<string, string> {
  const all = [...train.map((one) => [one, 'train']), ...held.map((one) => [one, 'test'])] as const
  return new Map(
    (all as [Dataset['train'][number], string][]).map(([{ path, label, box }, split]) => [
      path,
      JSON.stringify([byClass ? classes[label] : label, split, box]),
    ]),
  )
}

/** Only what keeps to its line leaves the other images as they are. */
function isLocal({ bytes, edits }: Mutant, base: Buffer): boolean {
  const breaks = (text: Buffer) => text.filter((byte) => [10, 13, 34].includes(byte)).length
  return edits.every(([, to]) => to <= base.length) && breaks(bytes) === breaks(base)
}

test.each(Object.entries(sets))(`${COUNT} damaged lists: %s`, async (name, { set, lists }) => {
  const root = realpathSync(await tree())
  await writeTinySet(set, root)
  for (const list of lists.filter((file) => file.endsWith('.mat'))) {
    cpSync(join(plain, list), join(root, list)) // not compressed: damage gets further
  }
  if (name === 'csv') {
    const { classes, train, test: held } = await openDataset({ name: set, root })
    const row = (split: string) => (one: Dataset['train'][number]) =>
      `${one.path.slice(root.length + 1)},"${classes[one.label]}",${split}`
    const rows = ['path,class,split', ...train.map(row('train')), ...held.map(row('test'))]
    writeFileSync(join(root, 'list.csv'), `${rows.join('\n')}\n`)
  }
  const bases = new Map(lists.map((list) => [list, readFileSync(join(root, list))]))
  const right = images(await openDataset({ name, root }), name === 'csv')
  const counts = { read: 0, refused: 0, compared: 0 }
  for (let number = 0; number < COUNT; number++) {
    const [pick = 0] = words(`list.${name}.${number}.base`, 1)
    const list = lists[pick % lists.length] as string
    const base = bases.get(list) as Buffer
    const isMat = list.endsWith('.mat')
    const mutant = mutate(`list.${name}.${number}`, base, isMat ? numbers : texts)
    writeFileSync(join(root, list), mutant.bytes)
    try {
      const dataset = await openDataset({ name, root })
      counts.read++
      const found = images(dataset, name === 'csv')
      expect(found.size).toBe(dataset.train.length + dataset.test.length)
      const strange = [...found.keys()].filter((path) => !right.has(path))
      expect(strange, `mutant ${number}`).toEqual([])
      if (isLocal(mutant, base)) {
        const changed = [...right].filter(([path, value]) => (found.get(path) ?? value) !== value)
        counts.compared++
        const most = mutant.edits.reduce((sum, [from, to]) => sum + (isMat ? to - from : 2), 0)
        expect(changed.length, `mutant ${number}`).toBeLessThanOrEqual(most)
      }
    } catch (error) {
      if (!(error instanceof McLossError && error.code === 'E_DATA')) throw error
      counts.refused++
    }
    writeFileSync(join(root, list), base)
  }
  expect(Math.min(counts.read, counts.refused, counts.compared)).toBeGreaterThan(COUNT / 50)
})
