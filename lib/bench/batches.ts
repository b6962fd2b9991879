// Batches for a bench without data: a store of noise that is resident (memory, or the GPU), read
// through the loader as a run reads its own. And the endless sequence of a split's batches.

import { createCipheriv } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { native } from '../binding.js'
import type { Config } from '../config/index.js'
import { badImages } from '../data/bad-images.js'
import type { Batch, Dataset } from '../data/batch.js'
import { loader } from '../data/loader.js'
import type { SplitSource } from '../data/store/index.js'
import { positionsOf } from '../data/validation.js'
import { McLossError } from '../errors.js'

/** They take turns; three of 16 x 256 x 256 px hold 9 MB, more than a core's cache. */
const BATCHES = 3

export interface BenchData {
  dataset: Dataset
  source: SplitSource
  close(): void
}

/** Three batches of noise at the size of data.resize. */
export async function syntheticData(config: Config, classes: number): Promise<BenchData> {
  const [height, width] = config.data.resize
  const count = BATCHES * config.optim.batchSize
  const dataset = {
    classes: Array.from({ length: classes }, (_, label) => `class ${label}`),
    train: Array.from({ length: count }, (_, i) => ({ path: `noise ${i}`, label: i % classes })),
    test: [],
  }
  const store = await openNoise(count, height, width, config.device)
  return {
    dataset,
    source: { store, badImages: badImages('error', dataset.train) },
    close: () => native().closeStore(store),
  }
}

async function openNoise(count: number, height: number, width: number, device: Config['device']) {
  const fileBytes = count * height * width * 3
  // AES in counter mode on zeros: a gigabyte a second of the same noise every time.
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const folder = await mkdtemp(join(tmpdir(), 'mcloss-bench-'))
  const path = join(folder, 'noise')
  try {
    await writeFile(path, noise.update(Buffer.alloc(fileBytes)))
    const mode = device === 'cuda' ? 'gpu' : 'ram'
    return await native().openStore({ path, fileBytes, offset: 0, count, height, width, mode })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * The training batches of epoch after epoch.
 * @throws McLossError E_CONFIG where the split makes no batch.
 */
export async function* trainingBatches(
  { dataset, source }: Pick<BenchData, 'dataset' | 'source'>,
  config: Config,
  signal?: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
  for (let epoch = 0; ; epoch++) {
    const batches = loader(dataset, config, { split: 'train', epoch, source, signal })
    if (batches.length === 0) {
      throw new McLossError(
        'E_CONFIG',
        `bench: ${positionsOf(dataset, config, 'train').length} training images make no batch of ` +
          `${config.optim.batchSize}; lower optim.batchSize or set optim.dropLast to false.`,
      )
    }
    yield* batches
  }
}

/** The next `count` of a sequence, which stays open for more. */
export async function* take<T>(sequence: AsyncIterator<T>, count: number): AsyncGenerator<T> {
  for (let i = 0; i < count; i++) {
    const next = await sequence.next()
    if (next.done) return
    yield next.value
  }
}
