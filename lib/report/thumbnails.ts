// Pictures small enough for a page: JPEG in data: addresses, of one size that all of them fit into a
// budget with.

import { decode, encodeJpeg, type Image, shrink } from '../data/images.js'
import { forEachOf } from '../data/pool.js'
import { reasonOf } from '../errors.js'

export interface Thumbnail {
  /** data:image/jpeg;base64,... */
  address: string
  width: number
  height: number
}

export interface Thumbnails {
  /** Undefined for one that could not be read, or did not fit. */
  of(path: string): Thumbnail | undefined
  /** Paths that could not be read, and why. */
  unreadable: Map<string, string>
  /** How many did not fit at the smallest size. */
  leftOut: number
}

interface ThumbnailOptions {
  /** Longest sides in pixels that are tried, the largest first. */
  sides: readonly number[]
  /** JPEG: 1..100. */
  quality: number
  /** Of all addresses, each as often as it is used. */
  budgetBytes: number
}

const PARALLEL = 4 // decoded at a time

/** `paths`: as often as they are used, the most important first. */
export async function thumbnailsOf(
  paths: readonly string[],
  { sides, quality, budgetBytes }: ThumbnailOptions,
): Promise<Thumbnails> {
  const uses = new Map<string, number>()
  for (const path of paths) uses.set(path, (uses.get(path) ?? 0) + 1)
  const unreadable = new Map<string, string>()
  const images = new Map<string, Image>()
  await forEachOf([...uses.keys()], PARALLEL, undefined, async (path) => {
    try {
      images.set(path, await shrink(await decode(path), sides[0] as number))
    } catch (error) {
      unreadable.set(path, reasonOf((error as Error).cause ?? error))
    }
  })
  const cost = (path: string, { address }: Thumbnail) => address.length * (uses.get(path) ?? 0)
  let found = new Map<string, Thumbnail>()
  for (const side of sides) {
    found = await encoded(images, side, quality)
    const bytes = [...found].reduce((sum, [path, one]) => sum + cost(path, one), 0)
    if (bytes <= budgetBytes) break
  }
  let left = budgetBytes
  const kept = new Map<string, Thumbnail>()
  for (const path of uses.keys()) {
    const thumbnail = found.get(path)
    if (!thumbnail) continue
    left -= cost(path, thumbnail)
    if (left >= 0) kept.set(path, thumbnail)
  }
  return { of: (path) => kept.get(path), unreadable, leftOut: found.size - kept.size }
}

async function encoded(
  images: Map<string, Image>,
  side: number,
  quality: number,
): Promise<Map<string, Thumbnail>> {
  const found = new Map<string, Thumbnail>()
  await forEachOf([...images], PARALLEL, undefined, async ([path, image]) => {
    const small = await shrink(image, side)
    const jpeg = await encodeJpeg(small, quality)
    const address = `data:image/jpeg;base64,${jpeg.toString('base64')}`
    found.set(path, { address, width: small.width, height: small.height })
  })
  return found
}
