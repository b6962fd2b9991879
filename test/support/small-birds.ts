// A small drawn set shared by the tests that train: three classes of 32 px birds.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConfigInput } from '../../lib/config/index.js'

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'mcloss-test-'))
}

/** A configuration that trains the toy model on 24 images in about a second. */
export function toyConfig(folder: string, overrides: Partial<ConfigInput> = {}): ConfigInput {
  return {
    seed: 1,
    threads: 1,
    out: join(folder, 'runs'),
    data: {
      name: 'drawn-birds',
      root: join(folder, 'birds'),
      classes: 3,
      trainPerClass: 8,
      testPerClass: 5,
      size: 64,
      resize: 64,
      padding: 4,
    },
    model: { backbone: 'toy', head: 'linear', channelsPerClass: 4 },
    loss: { name: 'mc', alpha: 1, beta: 0.5 },
    optim: { lr: 0.05, epochs: 2, batchSize: 8 },
    logEvery: 1,
    ...overrides,
  } as ConfigInput
}
