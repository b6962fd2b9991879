import { describe, expect, test } from 'vitest'
import {
  checkTransform,
  erasing,
  jitter,
  type Transform,
  window,
} from '../../../lib/data/augment.js'
import { drawTwin } from '../../reference/philox.js'

const transform: Transform = { resize: [20, 30], crop: [16, 24], padding: 2, flip: true }
const many = (transform: Transform, count = 4000) =>
  Array.from({ length: count }, (_, sample) => window(1, 0, sample, transform, 'train'))

describe('training windows', () => {
  test('are the draws of their own sample: row 0, column 1, flip', () => {
    const [seed, epoch, sample] = [2 ** 33 + 5, 6, 77]
    const scaled = (number: number, n: number) =>
      Number((BigInt(drawTwin(seed, epoch, sample, number, 1)) * BigInt(n)) >> 32n)
    expect(window(seed, epoch, sample, transform, 'train')).toEqual({
      top: scaled(0, 9) - 2, // 20 + 2 * 2 - 16 + 1 places
      left: scaled(1, 11) - 2,
      flip: drawTwin(seed, epoch, sample, 0, 2) >= 2 ** 31,
    })
  })

  test('reach every place in the padded image and no other', () => {
    const windows = many(transform)
    const places = (values: number[]) => [...new Set(values)].sort((a, b) => a - b)
    expect(places(windows.map(({ top }) => top))).toEqual([-2, -1, 0, 1, 2, 3, 4, 5, 6])
    expect(places(windows.map(({ left }) => left))).toEqual([-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('are mirrored half of the time, or never', () => {
    const share = many(transform).filter(({ flip }) => flip).length / 4000
    expect(Math.abs(share - 0.5)).toBeLessThan(0.03) // 3.8 standard deviations
    expect(many({ ...transform, flip: false }).some(({ flip }) => flip)).toBe(false)
  })

  test('differ between epochs and seeds, and between two samples', () => {
    const of = (seed: number, epoch: number, from: number) =>
      Array.from({ length: 30 }, (_, at) => window(seed, epoch, from + at, transform, 'train'))
    for (const other of [of(1, 1, 0), of(2, 0, 0), of(1, 0, 30)]) {
      expect(other).not.toEqual(of(1, 0, 0))
    }
  })
})

describe('jitter', () => {
  test('factors are the draws of their own sample, uniform in max(0, 1 - x) .. 1 + x', () => {
    const [seed, epoch, sample] = [2 ** 40 + 1, 3, 12]
    const at = (number: number) => drawTwin(seed, epoch, sample, number, 6) / 2 ** 32
    const factors = jitter(seed, epoch, sample, { brightness: 0.4, contrast: 3, saturation: 0 })
    expect(factors[0]).toBeCloseTo(0.6 + 0.8 * at(0), 12)
    expect(factors[1]).toBeCloseTo(4 * at(1), 12)
    expect(factors[2]).toBe(1)
  })

  test('factors differ between samples, epochs and seeds', () => {
    const amounts = { brightness: 0.4, contrast: 0.4, saturation: 0.4 }
    const places: [number, number, number][] = [
      [1, 0, 0],
      [1, 0, 1],
      [1, 1, 0],
      [2, 0, 0],
    ]
    const all = places.flatMap((place) => jitter(...place, amounts))
    expect(new Set(all).size).toBe(12)
  })
})

describe('erasing', () => {
  /** torchvision's RandomErasing.get_params and forward, on the draws of the sample's own sequence. */
  function twin(
    [seed, epoch, sample]: readonly [number, number, number],
    probability: number,
    [height, width]: readonly [number, number],
  ): number[] {
    let drawn = 0
    const uniform = () => drawTwin(seed, epoch, sample, drawn++, 7) / 2 ** 32
    if (!(uniform() < probability)) return [0, 0, 0, 0]
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = height * width * (0.02 + uniform() * (0.33 - 0.02))
      const log = Math.log(0.3) + uniform() * (Math.log(3.3) - Math.log(0.3))
      const h = Math.round(Math.sqrt(area * Math.exp(log)))
      const w = Math.round(Math.sqrt(area / Math.exp(log)))
      if (!(h < height && w < width)) continue
      const i = Math.floor(uniform() * (height - h + 1))
      const j = Math.floor(uniform() * (width - w + 1))
      return [i, j, h, w]
    }
    return [0, 0, 0, 0]
  }
  const samples = Array.from({ length: 3000 }, (_, sample) => sample)

  test.each([
    [0.25, [32, 48]],
    [1, [224, 224]],
    [1, [9, 100]], // many tries do not fit
    [1, [1, 1]],
  ] as [number, [number, number]][])('of share %s in %s is the twin', (probability, crop) => {
    for (const sample of samples.slice(0, 500)) {
      const place = [2 ** 35 + 3, 4, sample] as const
      expect(erasing(...place, probability, crop)).toEqual(twin(place, probability, crop))
    }
  })

  test('its share, its area and its ratio', () => {
    const all = samples.map((sample) => erasing(1, 0, sample, 0.25, [200, 300]))
    const some = all.filter(([, , height]) => height > 0)
    expect(Math.abs(some.length / 3000 - 0.25)).toBeLessThan(0.03)
    const areas = some.map(([, , height, width]) => (height * width) / 60000)
    const ratios = some.map(([, , height, width]) => height / width)
    const most = (values: number[]) => Math.max(...values)
    const least = (values: number[]) => Math.min(...values)
    expect([least(areas), most(areas), least(ratios), most(ratios)]).toEqual([
      expect.closeTo(0.02, 2),
      expect.closeTo(0.33, 1),
      expect.closeTo(0.3, 1),
      expect.closeTo(3.3, 0),
    ])
    for (const [top, left, height, width] of all) {
      expect(top >= 0 && left >= 0 && top + height <= 200 && left + width <= 300).toBe(true)
    }
    const above = ratios.filter((ratio) => ratio > 1).length / some.length
    expect(Math.abs(above - 0.5)).toBeLessThan(0.08) // log 3.3 and -log 0.3 are alike
  })

  test('never at 0; another one in another epoch and of another seed', () => {
    expect(samples.every((sample) => erasing(1, 0, sample, 0, [32, 32])[2] === 0)).toBe(true)
    const of = (seed: number, epoch: number) =>
      samples.slice(0, 30).map((sample) => erasing(seed, epoch, sample, 1, [32, 32]))
    expect(of(1, 1)).not.toEqual(of(1, 0))
    expect(of(2, 0)).not.toEqual(of(1, 0))
  })
})

describe('test windows', () => {
  // torchvision's center_crop: int(round((size - crop) / 2.0)); where it pads, (crop - size) // 2.
  test.each([
    [256, 224, 16],
    [11, 10, 0], // 0.5
    [13, 10, 2], // 1.5
    [15, 10, 2], // 2.5
    [17, 10, 4], // 3.5
    [10, 10, 0],
    [10, 14, -2],
    [10, 13, -1],
  ])('a centre crop of %i to %i begins at %i', (resize, crop, begin) => {
    const square: Transform = { resize: [resize, 40], crop: [crop, 40], padding: 4, flip: true }
    expect(window(1, 0, 0, square, 'test')).toEqual({ top: begin, left: 0, flip: false })
    const turned: Transform = { resize: [40, resize], crop: [40, crop], padding: 4, flip: true }
    expect(window(9, 3, 5, turned, 'test')).toEqual({ top: 0, left: begin, flip: false })
  })
})

describe('checkTransform', () => {
  test.each([
    [{ resize: [0, 10] }, 'whole pixels'],
    [{ resize: [20.5, 30] }, 'whole pixels'],
    [{ crop: [16, Number.NaN] }, 'whole pixels'],
    [{ padding: -1 }, 'padding'],
    [{ padding: 0.5 }, 'padding'],
    [{ crop: [25, 24] }, 'does not fit'],
    [{ crop: [16, 35] }, 'does not fit'],
  ] as [Partial<Transform>, string][])('%j is E_CONFIG', (change, part) => {
    expect(() => checkTransform({ ...transform, ...change })).toThrow(
      expect.objectContaining({ code: 'E_CONFIG', message: expect.stringContaining(part) }),
    )
  })

  test('a crop that just fits is taken', () => {
    expect(() => checkTransform({ ...transform, crop: [24, 34] })).not.toThrow()
  })
})
