// Every tiny set through its reader: counts, the warning, and that each image has the colour of the
// class it is given.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Sample } from '../../../../lib/data/batch.js'
import { openDataset } from '../../../../lib/data/datasets/index.js'
import { decodeTo } from '../../../../lib/data/images.js'
import { readerOf, TINY, tinySetNames, writeTinySet } from '../../../support/tiny-sets.js'
import { dataError, tree } from '../../../support/tree.js'

/** The channel that is brightest in the middle of the image, and whether it has white rows. */
async function look(sample: Sample): Promise<{ colour: number; hasStrip: boolean }> {
  const pixels = new Uint8Array(32 * 40 * 3)
  await decodeTo(sample, [32, 40], pixels)
  const middle = Array.from(pixels.subarray((10 * 40 + 20) * 3, (10 * 40 + 20) * 3 + 3))
  const last = pixels.subarray(-39 * 3)
  const colour = middle.indexOf(Math.max(...middle))
  return { colour, hasStrip: last.every((value) => value > 240) }
}

test.each(tinySetNames)('%s: images have the colour of their class', async (name) => {
  const root = await tree()
  await writeTinySet(name, root)
  const dataset = await openDataset({ name: readerOf(name), root })
  const { classes, train, test: held } = dataset
  expect({ classes: classes.length, train: train.length, test: held.length }).toEqual(TINY)
  for (const sample of [...train, ...held]) {
    expect(await look(sample), sample.path).toEqual({ colour: sample.label, hasStrip: false })
  }
  expect(new Set(train.map(({ label }) => label)).size).toBe(3)
  expect(dataset.warnings).toEqual([
    expect.stringMatching(
      new RegExp(
        `^${readerOf(name)}: ${root} is not the official release: 3 classes instead of \\d+, ` +
          '9 training images instead of \\d+, 6 test images instead of \\d+\\.$',
      ),
    ),
  ])
  await expect(openDataset({ name: readerOf(name), root, strict: true })).rejects.toEqual(
    dataError('9 training images instead of'),
  )
})

test('fgvc-aircraft keeps the strip when told to', async () => {
  const root = join(await tree(), 'planes')
  await writeTinySet('fgvc-aircraft', root)
  const { train } = await openDataset({ name: 'fgvc-aircraft', root, cropStrip: false })
  expect(await look(train[0] as Sample)).toMatchObject({ hasStrip: true })
})
