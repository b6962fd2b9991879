// Pictures put into others, pixel by pixel.

import { native } from '../binding.js'
import type { Image } from '../data/images.js'

/** Every pixel of the image as scale x scale pixels of the sheet. */
export function paste(
  sheet: Image,
  image: Image,
  { left, top }: { left: number; top: number },
  scale = 1,
): void {
  for (let y = 0; y < image.height * scale; y++) {
    for (let x = 0; x < image.width * scale; x++) {
      const from = (Math.floor(y / scale) * image.width + Math.floor(x / scale)) * 3
      const to = ((top + y) * sheet.width + left + x) * 3
      for (let byte = 0; byte < 3; byte++) {
        sheet.pixels[to + byte] = image.pixels[from + byte] as number
      }
    }
  }
}

/**
 * The image with its longer side in `least`..`most` pixels: each pixel of a smaller one as several, a
 * larger one resized (bilinear, antialiased).
 */
export async function fitted(image: Image, least: number, most: number): Promise<Image> {
  const side = Math.max(image.height, image.width)
  const factor = side > most ? most / side : Math.ceil(least / side)
  if (side <= most && factor <= 1) return image
  const [width, height] = [image.width, image.height].map((size) =>
    Math.max(1, Math.round(size * factor)),
  ) as [number, number]
  const out = { pixels: new Uint8Array(height * width * 3), width, height }
  if (side <= most) paste(out, image, { left: 0, top: 0 }, factor)
  else await native().resize({ ...image, out: out.pixels, outHeight: height, outWidth: width })
  return out
}
