import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { batchCount, batches, order } from '../../../lib/data/sampler.js'

const config = (part: string) =>
  expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining(part) })

describe('order', () => {
  test('is a permutation, the same again, another for another epoch or seed', () => {
    const one = order(100, 3, 4)
    expect([...one].sort((a, b) => a - b)).toEqual(Array.from(Array(100).keys()))
    expect(order(100, 3, 4)).toEqual(one)
    for (const other of [order(100, 3, 5), order(100, 4, 4), order(100, 3 + 2 ** 32, 4)]) {
      expect(other).not.toEqual(one)
    }
  })

  test('refuses a seed that is none', () => {
    expect(() => order(10, -1, 0)).toThrow(expect.objectContaining({ code: 'E_ARGUMENT' }))
  })
})

describe('batches', () => {
  test('one rank: consecutive slices of the order', () => {
    const sequence = Int32Array.of(4, 2, 0, 3, 1)
    expect(batches(sequence, 2, false).map((batch) => [...batch])).toEqual([[4, 2], [0, 3], [1]])
    expect(batches(sequence, 2, true).map((batch) => [...batch])).toEqual([
      [4, 2],
      [0, 3],
    ])
  })

  test('two ranks: halves of each global batch, a short last one shared evenly', () => {
    const sequence = Int32Array.of(6, 5, 4, 3, 2, 1, 0)
    const of = (rank: number) => batches(sequence, 4, false, rank, 2).map((batch) => [...batch])
    expect(of(0)).toEqual([[6, 5], [2]])
    expect(of(1)).toEqual([
      [4, 3],
      [1, 0],
    ])
  })

  test('ranks partition every global batch, in order, for any sizes', () => {
    const sizes = fc.record({
      count: fc.nat(200),
      perRank: fc.integer({ min: 1, max: 9 }),
      worldSize: fc.integer({ min: 1, max: 8 }),
      dropLast: fc.boolean(),
    })
    fc.assert(
      fc.property(sizes, ({ count, perRank, worldSize, dropLast }) => {
        const sequence = order(count, 1, 0)
        const size = perRank * worldSize
        const all = Array.from({ length: worldSize }, (_, rank) =>
          batches(sequence, size, dropLast, rank, worldSize),
        )
        const length = batchCount(count, size, dropLast)
        expect(all.map((batches) => batches.length)).toEqual(Array(worldSize).fill(length))
        for (let index = 0; index < length; index++) {
          const slices = all.map((batches) => [...(batches[index] as Int32Array)])
          const global = [...sequence.subarray(index * size, (index + 1) * size)]
          expect(slices.flat()).toEqual(global)
          const lengths = slices.map((slice) => slice.length)
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1)
          expect(Math.max(...lengths)).toBeLessThanOrEqual(perRank)
        }
      }),
    )
  })

  test('refuse sizes and ranks that cannot be', () => {
    const sequence = Int32Array.of(0, 1)
    for (const size of [0, -4, 2.5, Number.NaN]) {
      expect(() => batches(sequence, size, false)).toThrow(config('batchSize'))
    }
    expect(() => batches(sequence, 5, false, 0, 2)).toThrow(config('multiple of 2'))
    for (const [rank, worldSize] of [
      [2, 2],
      [-1, 2],
      [0.5, 2],
      [0, 0],
      [0, 1.5],
    ] as const) {
      expect(() => batches(sequence, 12, false, rank, worldSize)).toThrow(config('rank'))
    }
  })
})
