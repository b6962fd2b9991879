// The picture as a number: identities that hold whatever the maps are, and values worked out by hand.

import { expect, test } from 'vitest'
import { diversityOf, maximaOf } from '../../../lib/maps/class-maps.js'
import { heatColour, heatOver, INFERNO, upsampled } from '../../../lib/maps/heat.js'
import { areaInside, massInside, overlapOf } from '../../../lib/maps/overlap.js'

const maps = (...rows: number[][]) => Float32Array.from(rows.flat())

test('overlap: maps alike 1, maps that nowhere meet 0, whatever their sums', () => {
  expect(overlapOf(maps([1, 2, 0, 5], [2, 4, 0, 10], [3, 6, 0, 15]), [3, 2, 2])).toBeCloseTo(1, 12)
  expect(overlapOf(maps([1, 0, 3, 0], [0, 9, 0, 1]), [2, 2, 2])).toBe(0)
})

test('overlap: the mean over the pairs of sum(min(p, q))', () => {
  // Shares: (.5 .5 0 0), (.5 0 .5 0), (0 0 0 1): the pairs meet in .5, 0 and 0.
  const three = maps([2, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 7])
  expect(overlapOf(three, [3, 2, 2])).toBeCloseTo(0.5 / 3, 12)
})

test('overlap: a channel that is 0 everywhere is left out; without a pair there is none', () => {
  expect(overlapOf(maps([1, 0], [0, 0], [1, 0]), [3, 1, 2])).toBe(1)
  expect(overlapOf(maps([1, 0], [0, 0]), [2, 1, 2])).toBeUndefined()
  expect(overlapOf(maps([1, 2]), [1, 1, 2])).toBeUndefined()
})

test('h: 1 for channels alike, their number for peaks in different places; CCMP is their maximum', () => {
  expect(diversityOf(maps([0.1, 3, 1, 2], [0.1, 3, 1, 2]), [2, 2, 2])).toBeCloseTo(1, 12)
  expect(diversityOf(maps([99, 0, 0, 0], [0, 0, 99, 0]), [2, 2, 2])).toBeCloseTo(2, 12)
  const one = 1 / (1 + Math.E)
  expect(diversityOf(maps([0, 1], [1, 0]), [2, 1, 2])).toBeCloseTo(2 * (1 - one), 7)
  expect([...maximaOf(maps([1, 4, 0, 2], [3, 2, 0, 5]), [2, 2, 2])]).toEqual([3, 4, 0, 5])
})

test('the share inside a mask: of a map that is the same everywhere that of the area', () => {
  const [height, width] = [9, 14] // no multiple of the map's 2 x 4
  const inside = Uint8Array.from({ length: height * width }, (_, at) => (at * 7) % 3)
  const whole = { inside: new Uint8Array(height * width).fill(255), height, width }
  expect(massInside(maps([1, 2, 3, 4, 5, 6, 7, 8]), [2, 4], whole)).toBeCloseTo(1, 12)
  expect(massInside(new Float32Array(8), [2, 4], whole)).toBeUndefined()
  const even = { inside: inside.slice(0, 8 * 12), height: 8, width: 12 }
  expect(areaInside(even)).toBeCloseTo(64 / 96, 12)
  expect(massInside(new Float32Array(8).fill(3), [2, 4], even)).toBeCloseTo(areaInside(even), 12)
  // The upper left quarter of a picture of 4 x 4 is one cell of 2 x 2.
  const corner = { inside: Uint8Array.from({ length: 16 }, (_, at) => +(at < 8 && at % 4 < 2)) }
  expect(massInside(maps([3, 1, 1, 0]), [2, 2], { ...corner, height: 4, width: 4 })).toBe(0.6)
})

test('bilinear interpolation is that of PyTorch without align_corners', () => {
  // torch.nn.functional.interpolate(x, size=(4, 4), mode='bilinear') of [[0, 4], [8, 12]]
  const rows = [0, 2, 6, 8].map((row) => [0, 1, 3, 4].map((column) => row + column))
  expect([...upsampled(maps([0, 4, 8, 12]), [2, 2], [4, 4])]).toEqual(rows.flat())
  expect([...upsampled(maps([5]), [1, 1], [2, 3])]).toEqual([5, 5, 5, 5, 5, 5])
})

test('heat over a picture: 65 % of the colour, 35 % of the grey, by hand', () => {
  const colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 100, 100, 100]
  const picture = { pixels: Uint8Array.from(colours), width: 2, height: 2 }
  // Inferno at 0 is 000004, at 8 of its 16 steps bc3754, at 16 fcffa4; 3.5 lies between 3d0965 and 57106e.
  const found = heatOver(picture, maps([0, 4], [8, 1.75]), [2, 2], 8)
  const expected = [
    ...[27, 27, 29], // 0.35 * 76.245 (grey of red) + 0.65 * (0, 0, 4)
    ...[175, 88, 107], // 0.35 * 149.685 + 0.65 * (188, 55, 84)
    ...[174, 176, 117], // 0.35 * 29.07 + 0.65 * (252, 255, 164)
    ...[83, 43, 104], // 35 + 0.65 * (74, 12.5, 105.5)
  ]
  expect({ ...found, pixels: [...found.pixels] }).toEqual({ ...picture, pixels: expected })
  const silent = heatOver(picture, maps([0, 0], [0, 0]), [2, 2], 0)
  expect([...silent.pixels.subarray(9)]).toEqual([35, 35, 38])
})

test('the colours rise evenly in lightness (CIE L*), from black to nearly white', () => {
  const linear = (level: number) =>
    level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4
  const lightness = (value: number) => {
    const [r, g, b] = heatColour(value).map((level) => linear(level / 255)) as [
      number,
      number,
      number,
    ]
    const y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y
  }
  const all = INFERNO.map((_, at) => lightness(at / (INFERNO.length - 1)))
  expect(all[0]).toBeLessThan(1)
  expect(all.at(-1)).toBeGreaterThan(95)
  const steps = all.slice(1).map((value, at) => value - (all[at] as number))
  for (const step of steps) expect(Math.abs(step - 100 / steps.length)).toBeLessThan(4)
  expect(heatColour(2)).toEqual(heatColour(1))
})
