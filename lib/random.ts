// Philox4x32-10 (Salmon et al., SC 2011): the one generator of the whole product, the same bits as
// native/ops/kernel/philox.h. There is no state: a random number is a pure function of where it is used,
// (seed, step or epoch, sample, draw, purpose), so a resume or a number of threads changes nothing.

import { McLossError } from './errors.js'

/** As native/ops/kernel/philox.h numbers them. No purpose shares another's numbers. */
export const Purpose = {
  order: 0,
  window: 1,
  flip: 2,
  cwaMask: 3,
  dropout: 4,
  drawing: 5,
  jitter: 6,
  erasing: 7,
  validation: 8,
  tuning: 9,
} as const
export type Purpose = (typeof Purpose)[keyof typeof Purpose]

const high32 = (seed: number) => Math.floor(seed / 2 ** 32)

/** @throws McLossError E_ARGUMENT unless `seed` is an integer 0..2^53-1. */
export function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new McLossError(
      'E_ARGUMENT',
      `rng: expected a seed that is an integer 0..2^53-1 but received ${seed}.`,
    )
  }
}

/** The upper 32 bits of a * b, both uint32, by 16-bit halves: every partial sum stays below 2^32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const other = aLow * bHigh + (middle & 0xffff)
  return aHigh * bHigh + (middle >>> 16) + (other >>> 16)
}

/** One block: counter (4 uint32) and key (2 uint32) to 4 uint32 in `out`. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array,
): void {
  let [c0, c1, c2, c3] = counter
  let [key0, key1] = key
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0)
    const high1 = multiplyHigh(0xcd9e8d57, c2)
    const low0 = Math.imul(0xd2511f53, c0)
    const low1 = Math.imul(0xcd9e8d57, c2)
    c0 = (high1 ^ c1 ^ key0) >>> 0
    c1 = low1 >>> 0
    c2 = (high0 ^ c3 ^ key1) >>> 0
    c3 = low0 >>> 0
    key0 = (key0 + 0x9e3779b9) >>> 0
    key1 = (key1 + 0xbb67ae85) >>> 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}

const block = new Uint32Array(4)

/** Draw number `draw` of (seed, step, sample, purpose): 32 uniform bits as a uint32. */
export function draw(
  seed: number,
  step: number,
  sample: number,
  draw: number,
  purpose: Purpose,
): number {
  philox([step, sample, draw >>> 2, purpose], [seed >>> 0, high32(seed)], block)
  return block[draw & 3] as number
}

/** The draws `first`, `first` + 1, ... of (seed, step, sample, purpose), one uint32 a call. */
export function draws(
  seed: number,
  step: number,
  sample: number,
  purpose: Purpose,
  first = 0,
): () => number {
  const words = new Uint32Array(4)
  const key = [seed >>> 0, high32(seed)] as const
  let next = first
  let filled = -1
  return () => {
    if (next >>> 2 !== filled) {
      filled = next >>> 2
      philox([step, sample, filled, purpose], key, words)
    }
    return words[next++ & 3] as number
  }
}

/** 32 random bits to a uniform number in [0, 1). */
export function uniform(word: number): number {
  return word / 2 ** 32
}

/** 32 random bits to an integer 0..n-1 (n <= 2^32); no value is favoured by more than n / 2^32. */
export function below(word: number, n: number): number {
  return Math.floor((word / 2 ** 32) * n)
}

/** A permutation of 0..count-1 (Fisher-Yates), a pure function of its arguments. */
export function shuffle(count: number, seed: number, step: number, purpose: Purpose): Int32Array {
  const order = Int32Array.from({ length: count }, (_, index) => index)
  const next = draws(seed, step, 0, purpose)
  for (let last = count - 1; last > 0; last--) {
    const other = below(next(), last + 1)
    const value = order[last] as number
    order[last] = order[other] as number
    order[other] = value
  }
  return order
}
