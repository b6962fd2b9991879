// What the network sees of a batch, as pictures.

import { native } from '../binding.js'
import { half } from '../config/normalisation.js'
import type { Image } from '../data/images.js'

interface SeenThrough {
  crop: readonly [height: number, width: number]
  /** Default 0.5: what they are shows only where a picture is erased. */
  mean?: readonly number[] | undefined
  std?: readonly number[] | undefined
}

/** The network's input of a batch, the normalisation undone: u8 RGB images. */
export async function seenPictures(
  batch: Parameters<ReturnType<typeof native>['gatherAugment']>[0],
  { crop: [height, width], mean = half, std = half }: SeenThrough,
): Promise<Image[]> {
  const area = height * width
  const planes = await native().gatherAugment(batch, {
    outHeight: height,
    outWidth: width,
    mean: [...mean],
    std: [...std],
  })
  return Array.from({ length: batch.count }, (_, row) => {
    const pixels = new Uint8Array(area * 3)
    for (let channel = 0; channel < 3; channel++) {
      const [offset, factor] = [mean[channel] as number, std[channel] as number]
      const plane = (row * 3 + channel) * area
      for (let at = 0; at < area; at++) {
        const level = ((planes[plane + at] as number) * factor + offset) * 255
        pixels[at * 3 + channel] = Math.round(Math.min(Math.max(level, 0), 255))
      }
    }
    return { pixels, width, height }
  })
}
