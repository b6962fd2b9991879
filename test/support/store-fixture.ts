// A set of small JPEG files for the tests of the store, and its pixels by another way than the store's.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset } from '../../lib/data/batch.js'
import { decodeTo, encodeJpeg } from '../../lib/data/images.js'
import type { StoreOptions } from '../../lib/data/store/index.js'

export const SIZE = [40, 56] as const

/** `count` files of noise in either split, no two alike and no two of the same size. */
export async function noiseFiles(folder: string, count: number): Promise<Dataset> {
  const splits = { train: [], test: [] } as Pick<Dataset, 'train' | 'test'>
  for (const [offset, split] of [
    [0, 'train'],
    [1000, 'test'],
  ] as const) {
    mkdirSync(join(folder, split), { recursive: true })
    for (let index = 0; index < count; index++) {
      const path = join(folder, split, `${index}.jpg`)
      writeFileSync(path, await noise(offset + index))
      splits[split].push({ path, label: index % 2 })
    }
  }
  return { name: 'noise', classes: ['even', 'odd'], ...splits }
}

export function noise(seed: number): Promise<Buffer> {
  const [width, height] = [30 + (seed % 41), 30 + (seed % 23)]
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    return Math.imul(at + 1, 2654435761 + seed * 40503) >>> 24
  })
  return encodeJpeg({ pixels, width, height }, 90)
}

export async function pixelsOf(path: string): Promise<Buffer> {
  const out = new Uint8Array(SIZE[0] * SIZE[1] * 3)
  await decodeTo({ path }, SIZE, out)
  return Buffer.from(out)
}

export function storeOptions(out: string, data: Partial<StoreOptions['data']> = {}): StoreOptions {
  return {
    out,
    device: 'cpu',
    data: { resize: SIZE, decoders: 2, store: 'mmap', onBadImage: 'error', ...data },
  }
}
