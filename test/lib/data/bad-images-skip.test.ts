// data.onBadImage: an error, or the same smaller batches with and without a store.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { native } from '../../../lib/binding.js'
import type { Batch, Dataset } from '../../../lib/data/batch.js'
import { type LoaderOptions, loader } from '../../../lib/data/loader.js'
import { openStores, type Stores } from '../../../lib/data/store/index.js'
import type { RunEvent } from '../../../lib/events.js'
import { temporaryFolder } from '../../support/small-birds.js'
import { noise, noiseFiles, SIZE, storeOptions } from '../../support/store-fixture.js'

const folder = temporaryFolder()
let dataset: Dataset

beforeAll(async () => {
  dataset = await noiseFiles(join(folder, 'files'), 12)
})

describe('files that cannot be decoded', () => {
  const settings = (data: object): LoaderOptions => ({
    seed: 3,
    data: {
      ...{ resize: SIZE, crop: SIZE, padding: 0, flip: true, prefetch: 2, decoders: 2 },
      ...data,
    },
    optim: { batchSize: 4, dropLast: false },
  })

  async function broken(): Promise<Dataset> {
    const bad = join(folder, 'bad.jpg')
    writeFileSync(bad, (await noise(1)).subarray(0, 200))
    const train = [...dataset.train]
    train[5] = { path: bad, label: 1 }
    return { ...dataset, name: 'broken', train }
  }

  async function batchesOf(data: Dataset, stores: Stores) {
    const all = []
    const source = stores.train
    for await (const batch of loader(data, settings({}), { split: 'train', epoch: 0, source })) {
      const { labels, samples, windows, count } = batch
      all.push({ count, labels, samples: Array.from(samples), windows, pixels: await cut(batch) })
      batch.release()
    }
    return all
  }

  const cut = (batch: Batch) =>
    native().gatherAugment(batch, {
      ...{ outHeight: SIZE[0], outWidth: SIZE[1] },
      ...{ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    })

  test('are an error that names them, with and without a store', async () => {
    const data = await broken()
    const refused = { code: 'E_IMAGE', message: expect.stringContaining('bad.jpg') }
    await expect(openStores(data, storeOptions(folder))).rejects.toMatchObject(refused)
    const off = await openStores(data, storeOptions(folder, { store: 'off' }))
    await expect(batchesOf(data, off)).rejects.toMatchObject(refused)
  })

  test('are left out with `skip`: the same batches with and without a store, one warning each', async () => {
    const data = await broken()
    const results = []
    for (const store of ['mmap', 'mmap', 'off'] as const) {
      const warnings: RunEvent[] = []
      const stores = await openStores(
        data,
        storeOptions(join(folder, 'skip'), { store, onBadImage: 'skip' }),
        { onEvent: (event) => event.type === 'warning' && warnings.push(event) },
      )
      results.push(await batchesOf(data, stores))
      await batchesOf(data, stores)
      expect(warnings).toEqual([
        { type: 'warning', message: expect.stringMatching(/left out, 1 of at most 1: .*bad\.jpg/) },
      ])
      stores.close()
    }
    const seen = results[0]?.flatMap(({ samples }) => samples) ?? []
    expect(seen.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11])
    expect(results[1]).toEqual(results[0])
    expect(results[2]).toEqual(results[0])
  })

  test('beyond one in a thousand are an error all the same', async () => {
    const data = await broken()
    data.train[6] = data.train[5] as Dataset['train'][0]
    for (const store of ['mmap', 'off'] as const) {
      const options = storeOptions(join(folder, 'cap'), { store, onBadImage: 'skip' })
      const read = openStores(data, options).then((stores) => batchesOf(data, stores))
      await expect(read).rejects.toMatchObject({
        code: 'E_IMAGE',
        message: expect.stringMatching(/more than 1 of 12/),
      })
    }
  })

  test('a store that left some out is refused where they are an error', async () => {
    const data = await broken()
    const skip = storeOptions(join(folder, 'skip'), { onBadImage: 'skip' })
    ;(await openStores(data, skip)).close()
    const strict = openStores(data, storeOptions(join(folder, 'skip')))
    await expect(strict).rejects.toMatchObject({ code: 'E_IMAGE' })
  })
})
