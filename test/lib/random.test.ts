import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  below,
  checkSeed,
  draw,
  draws,
  Purpose,
  philox,
  shuffle,
  uniform,
} from '../../lib/random.js'
import { drawTwin, philoxTwin } from '../reference/philox.js'

const word = fc.integer({ min: 0, max: 0xffffffff })
const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

function block(counter: [number, number, number, number], key: [number, number]): number[] {
  const out = new Uint32Array(4)
  philox(counter, key, out)
  return [...out]
}

describe('philox4x32-10', () => {
  // Random123, kat_vectors: counter, key, result.
  test.each([
    [
      '00000000 00000000 00000000 00000000',
      '00000000 00000000',
      '6627e8d5 e169c58d bc57ac4c 9b00dbd8',
    ],
    [
      'ffffffff ffffffff ffffffff ffffffff',
      'ffffffff ffffffff',
      '408f276d 41c83b0e a20bc7c6 6d5451fd',
    ],
    [
      '243f6a88 85a308d3 13198a2e 03707344',
      'a4093822 299f31d0',
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ])('known answer for counter %s', (counter, key, result) => {
    const words = (text: string) => text.split(' ').map((hex) => Number.parseInt(hex, 16))
    const actual = block(
      words(counter) as [number, number, number, number],
      words(key) as [number, number],
    )
    expect(actual).toEqual(words(result))
    expect(philoxTwin(words(counter), words(key))).toEqual(words(result))
  })

  test('equals the twin everywhere', () => {
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        expect(block(counter, key)).toEqual(philoxTwin(counter, key))
      }),
    )
  })
})

describe('draws', () => {
  test('lie where native looks for them', () => {
    fc.assert(
      fc.property(
        seed,
        word,
        word,
        fc.nat(1000),
        fc.nat(5),
        (seed, step, sample, number, stream) => {
          const actual = draw(seed, step, sample, number, stream as Purpose)
          expect(actual).toBe(drawTwin(seed, step, sample, number, stream))
        },
      ),
    )
  })

  test('in a row equal those asked for one by one, from any first', () => {
    for (const first of [0, 1, 3, 4, 2 ** 20]) {
      const next = draws(9, 2, 3, Purpose.drawing, first)
      const row = Array.from({ length: 11 }, next)
      expect(row).toEqual(row.map((_, at) => draw(9, 2, 3, first + at, Purpose.drawing)))
    }
  })

  test('two sequences do not disturb each other', () => {
    const alone = Array.from({ length: 6 }, draws(1, 0, 0, Purpose.order))
    const one = draws(1, 0, 0, Purpose.order)
    const other = draws(1, 0, 1, Purpose.order)
    expect(alone.map(() => [one(), other(), draw(5, 5, 5, 5, Purpose.flip)][0])).toEqual(alone)
  })

  test('streams have the numbers of native/ops/kernel/philox.h', () => {
    const header = readFileSync(
      join(import.meta.dirname, '../../native/ops/kernel/philox.h'),
      'utf8',
    )
    const list = /enum class Purpose : uint32_t \{([^}]+)\}/.exec(header)?.[1] ?? ''
    const native = [...list.matchAll(/(\w+) = (\d+)/g)].map(([, name = '', id]) => {
      return [name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()), Number(id)]
    })
    expect(Object.fromEntries(native)).toEqual(Purpose)
  })
})

test('uniform lies in [0, 1) and below in 0..n-1', () => {
  expect([uniform(0), uniform(2 ** 31)]).toEqual([0, 0.5])
  expect(uniform(0xffffffff)).toBeLessThan(1)
  fc.assert(
    fc.property(word, fc.integer({ min: 1, max: 2 ** 32 }), (bits, n) => {
      expect(below(bits, n)).toBe(Number((BigInt(bits) * BigInt(n)) >> 32n))
    }),
  )
})

describe('shuffle', () => {
  test('is Fisher-Yates from the end over the draws of sample 0', () => {
    const order = Array.from({ length: 57 }, (_, index) => index)
    for (let last = 56, number = 0; last > 0; last--, number++) {
      const bits = BigInt(drawTwin(2 ** 40 + 3, 7, 0, number, 0))
      const other = Number((bits * BigInt(last + 1)) >> 32n)
      const moved = order[last] as number
      order[last] = order[other] as number
      order[other] = moved
    }
    expect([...shuffle(57, 2 ** 40 + 3, 7, Purpose.order)]).toEqual(order)
  })

  test('favours no place: chi-square of 6 values over 6 places, 6,000 orders', () => {
    const seen = new Float64Array(36)
    for (let step = 0; step < 6000; step++) {
      for (const [place, value] of shuffle(6, 1, step, Purpose.order).entries()) {
        seen[place * 6 + value] = (seen[place * 6 + value] as number) + 1
      }
    }
    const chiSquare = seen.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    expect(chiSquare).toBeLessThan(52.6) // 25 degrees of freedom, p = 0.001
  })

  test('of nothing and of one', () => {
    expect([shuffle(0, 1, 0, Purpose.order).length, ...shuffle(1, 1, 0, Purpose.order)]).toEqual([
      0, 0,
    ])
  })
})

test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
  'seed %s is refused',
  (seed) => {
    expect(() => checkSeed(seed)).toThrow(expect.objectContaining({ code: 'E_ARGUMENT' }))
  },
)

test.each([0, 2 ** 53 - 1])('seed %s is taken', (seed) => {
  expect(() => checkSeed(seed)).not.toThrow()
})
