// A map over its picture: the picture in grey, the map's values as colours.

import type { Image } from '../data/images.js'

/** Matplotlib's inferno (CC0) at 17 equal steps: its lightness rises evenly, in grey print too. */
export const INFERNO = (
  '000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a ' +
  'fcaa0f f9c932 f2e865 fcffa4'
).split(' ')
const steps = INFERNO.map((hex) =>
  [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)),
)
const MAP_SHARE = 0.65 // of a pixel's colour; the rest is the picture's grey

/** u8 RGB of a value 0..1, as far as three numbers can tell. */
export function heatColour(value: number): [number, number, number] {
  const at = Math.min(Math.max(value, 0), 1) * (steps.length - 1)
  const low = Math.min(Math.floor(at), steps.length - 2)
  const mix = (channel: number) => {
    const [a, b] = [steps[low]?.[channel] as number, steps[low + 1]?.[channel] as number]
    return a + (at - low) * (b - a)
  }
  return [mix(0), mix(1), mix(2)]
}

/** `values` [height, width] 0..`most` over a picture, brought to its size by bilinear interpolation. */
export function heatOver(
  picture: Image,
  values: Float32Array,
  size: readonly [height: number, width: number],
  most: number,
): Image {
  const { width, height } = picture
  const heat = upsampled(values, size, [height, width])
  const pixels = new Uint8Array(picture.pixels.length)
  for (let at = 0; at < heat.length; at++) {
    const [r, g, b] = [0, 1, 2].map((channel) => picture.pixels[at * 3 + channel] as number)
    const grey = 0.299 * (r as number) + 0.587 * (g as number) + 0.114 * (b as number)
    const colour = heatColour(most > 0 ? (heat[at] as number) / most : 0)
    for (const [channel, value] of colour.entries()) {
      pixels[at * 3 + channel] = Math.round(MAP_SHARE * value + (1 - MAP_SHARE) * grey)
    }
  }
  return { pixels, width, height }
}

/**
 * [outHeight, outWidth] of [height, width] by bilinear interpolation between the middles of the cells, as
 * PyTorch's interpolate does without align_corners; beyond the outer middles the value stays.
 */
export function upsampled(
  values: Float32Array,
  [height, width]: readonly [number, number],
  [outHeight, outWidth]: readonly [number, number],
): Float32Array {
  const rows = placesOf(height, outHeight)
  const columns = placesOf(width, outWidth)
  const out = new Float32Array(outHeight * outWidth)
  for (const [y, row] of rows.entries()) {
    for (const [x, column] of columns.entries()) {
      const at = (r: number, c: number) => values[r * width + c] as number
      const above =
        at(row.low, column.low) * (1 - column.part) + at(row.low, column.high) * column.part
      const below =
        at(row.high, column.low) * (1 - column.part) + at(row.high, column.high) * column.part
      out[y * outWidth + x] = above * (1 - row.part) + below * row.part
    }
  }
  return out
}

/** Of each pixel along one axis: the two cells that it lies between, and how far it is to the second. */
function placesOf(cells: number, pixels: number) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const at = Math.min(Math.max(((pixel + 0.5) * cells) / pixels - 0.5, 0), cells - 1)
    const low = Math.floor(at)
    return { low, high: Math.min(low + 1, cells - 1), part: at - low }
  })
}
