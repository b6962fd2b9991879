// A trainer that writes two files whose content says which step they are of, and a state to match.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** @param {number} step */
export function fakeTrainer(step) {
  return {
    /** @param {string} dir @param {Record<string, string>} metadata */
    async save(dir, metadata) {
      await writeFile(join(dir, 'model.safetensors'), modelFile(step, metadata))
      await writeFile(join(dir, 'optimizer.safetensors'), Buffer.alloc(50_000 + step, step))
    },
  }
}

/**
 * A safetensors file: length of the header, header, data.
 * @param {number} step @param {Record<string, string>} metadata
 */
function modelFile(step, metadata) {
  const tensor = { dtype: 'U8', shape: [100_000], data_offsets: [0, 100_000] }
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata, weight: tensor }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.alloc(100_000, step)])
}

/** @param {number} step */
export function stateOf(step) {
  const stats = { steps: 1, skipped: 0, n: 8, correct: 2, loss: 1.5, parts: { ce: 1.5 } }
  return {
    version: /** @type {const} */ (1),
    epoch: Math.floor(step / 3),
    stepInEpoch: step % 3,
    step,
    totals: { stats: { ...stats, gradNorm: 1, ms: 5 }, seconds: 1, waitSeconds: 0.5 },
    best: { epoch: 0, loss: 1, top1: 0.5, top5: 1, meanPerClass: 0.5, classes: 3, n: 15 },
    metrics: {},
    config: { seed: step },
    classes: ['wren', 'jay "blue"', 'Zaunkönig'],
    trainSamples: 24,
    stepsPerEpoch: 3,
    libtorch: '9.9.9',
  }
}
