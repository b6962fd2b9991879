// Which samples, in which order, in which batch, on which rank: pure functions.

import { McLossError } from '../errors.js'
import { checkSeed, Purpose, shuffle } from '../random.js'

/**
 * The training order of an epoch: a permutation of 0..count-1, a pure function of its arguments.
 *
 * @throws McLossError E_ARGUMENT unless `seed` is an integer 0..2^53-1.
 */
export function order(count: number, seed: number, epoch: number): Int32Array {
  checkSeed(seed)
  return shuffle(count, seed, epoch, Purpose.order)
}

/** Batches in an epoch, the same on every rank. */
export function batchCount(count: number, batchSize: number, dropLast: boolean): number {
  return dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize)
}

/**
 * Cuts an order into global batches of `batchSize` samples and takes one rank's slice of each.
 * Every rank gets the same number of batches and every sample is on one rank. Where the last batch
 * is smaller its slices differ by at most one sample; a slice is empty only when that batch holds
 * fewer samples than there are ranks.
 *
 * @throws McLossError E_CONFIG when batchSize is not a positive multiple of worldSize.
 */
export function batches(
  order: Int32Array,
  batchSize: number,
  dropLast: boolean,
  rank = 0,
  worldSize = 1,
): Int32Array[] {
  checkBatchSize(batchSize, rank, worldSize)
  return Array.from({ length: batchCount(order.length, batchSize, dropLast) }, (_, index) => {
    const batch = order.subarray(index * batchSize, (index + 1) * batchSize)
    const cut = (at: number) => Math.floor((at * batch.length) / worldSize)
    return batch.subarray(cut(rank), cut(rank + 1))
  })
}

function checkBatchSize(batchSize: number, rank: number, worldSize: number): void {
  if (![rank, worldSize].every(Number.isInteger) || rank < 0 || rank >= worldSize) {
    throw new McLossError(
      'E_CONFIG',
      `sampler: expected 0 <= rank < worldSize but received rank ${rank} of ${worldSize}.`,
    )
  }
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize % worldSize !== 0) {
    const nearest = worldSize * Math.max(1, Math.round(batchSize / worldSize) || 1)
    throw new McLossError(
      'E_CONFIG',
      `sampler: expected batchSize to be a positive multiple of ${worldSize} (the number of ranks) ` +
        `but received ${batchSize}. Choose ${nearest}.`,
    )
  }
}
