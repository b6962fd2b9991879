// The part of a picture that the network sees, as it is before normalisation.

import type { Image } from '../data/images.js'

/** Decoded pictures of one size with their windows (top, left, flip). */
export interface Windowed {
  count: number
  /** u8 [count, height, width, 3] */
  pixels: Uint8Array
  height: number
  width: number
  /** [count, 3] */
  windows: Int32Array
}

/** The window of `crop` of each picture of a batch that is not mirrored; black where it leaves the picture. */
export function seenPictures(batch: Windowed, [height, width]: readonly [number, number]): Image[] {
  return Array.from({ length: batch.count }, (_, n) => {
    const [top, left] = [batch.windows[n * 3] as number, batch.windows[n * 3 + 1] as number]
    const pixels = new Uint8Array(height * width * 3)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [row, column] = [top + y, left + x]
        if (row < 0 || row >= batch.height || column < 0 || column >= batch.width) continue
        const from = ((n * batch.height + row) * batch.width + column) * 3
        pixels.set(batch.pixels.subarray(from, from + 3), (y * width + x) * 3)
      }
    }
    return { pixels, width, height }
  })
}
