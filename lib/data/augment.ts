// Which part of a resized image the network sees, whether mirrored, how its colours change and what is
// erased: pure functions. The pixels are cut by native (gather_augment), which fills with black what a
// window leaves uncovered.

import { McLossError } from '../errors.js'
import { below, draw, draws, Purpose, uniform } from '../random.js'
import type { LoadedSplit } from './batch.js'

/** How every image of a run is brought to the network's input. Sizes are [height, width], pixels. */
export interface Transform {
  /** The fixed size every image is resized to, whatever its shape. */
  resize: readonly [number, number]
  /** The part that is cut from it. */
  crop: readonly [number, number]
  /** Black pixels on each side that a training crop may take in. */
  padding: number
  /** Mirror a training image left-right with probability 0.5. */
  flip: boolean
  /** Of training images, after crop and flip, in this order. Left out: none. */
  jitter?: Jitter
  /** Share 0..1 of training images of which a rectangle is erased, after all else. Left out: 0. */
  randomErasing?: number
}

/** How far colours may change, each 0..255: the factor is uniform in max(0, 1 - x) .. 1 + x. */
export interface Jitter {
  brightness: number
  contrast: number
  saturation: number
}

export interface Window {
  /** The crop's corner in the resized image; negative where it begins in the padding. */
  top: number
  left: number
  flip: boolean
}

/** Those of images that are evaluated: [count, 3] of top, left, flip. */
export function testWindows(count: number, transform: Transform): Int32Array {
  const { top, left } = window(0, 0, 0, transform, 'test')
  return Int32Array.from({ length: 3 * count }, (_, at) => [top, left, 0][at % 3] as number)
}

/** @throws McLossError E_CONFIG for sizes that are no positive integers or a crop that cannot fit. */
export function checkTransform({ resize, crop, padding }: Transform): void {
  const sizes = [...resize, ...crop]
  if (sizes.length !== 4 || !sizes.every((size) => Number.isInteger(size) && size > 0)) {
    throw new McLossError(
      'E_CONFIG',
      'augment: expected resize and crop to be [height, width] in whole pixels but received ' +
        `resize [${resize}], crop [${crop}].`,
    )
  }
  if (!Number.isInteger(padding) || padding < 0) {
    throw new McLossError(
      'E_CONFIG',
      `augment: expected padding to be a whole number of pixels >= 0 but received ${padding}.`,
    )
  }
  if (crop[0] > resize[0] + 2 * padding || crop[1] > resize[1] + 2 * padding) {
    throw new McLossError(
      'E_CONFIG',
      `augment: a crop of ${crop[0]}x${crop[1]} does not fit into ${resize[0]}x${resize[1]} with ` +
        `padding ${padding}. Choose a smaller crop, a larger resize or more padding.`,
    )
  }
}

/**
 * The window of one sample: in training a uniformly random crop (and flip) that is a pure function
 * of (seed, epoch, sampleIndex); else the centre crop, placed as torchvision places it.
 *
 * @throws McLossError E_CONFIG as checkTransform.
 */
export function window(
  seed: number,
  epoch: number,
  sampleIndex: number,
  transform: Transform,
  split: LoadedSplit,
): Window {
  checkTransform(transform)
  const { resize, crop, padding } = transform
  if (split !== 'train') {
    return { top: centre(resize[0], crop[0]), left: centre(resize[1], crop[1]), flip: false }
  }
  const at = (number: number, axis: 0 | 1) =>
    below(
      draw(seed, epoch, sampleIndex, number, Purpose.window),
      resize[axis] + 2 * padding - crop[axis] + 1,
    ) - padding
  return {
    top: at(0, 0),
    left: at(1, 1),
    flip: transform.flip && below(draw(seed, epoch, sampleIndex, 0, Purpose.flip), 2) === 1,
  }
}

/**
 * The factors of brightness, contrast and saturation of one training sample, as PIL's ImageEnhance
 * takes them (1: unchanged); a pure function of (seed, epoch, sampleIndex).
 */
export function jitter(
  seed: number,
  epoch: number,
  sampleIndex: number,
  amounts: Jitter,
): [number, number, number] {
  const factor = (number: number, amount: number) => {
    const least = Math.max(0, 1 - amount)
    const at = uniform(draw(seed, epoch, sampleIndex, number, Purpose.jitter))
    return least + at * (1 + amount - least)
  }
  const { brightness, contrast, saturation } = amounts
  return [factor(0, brightness), factor(1, contrast), factor(2, saturation)]
}

/** Of a crop, pixels. */
export type Rectangle = [top: number, left: number, height: number, width: number]

const AREA = [0.02, 0.33] as const // shares of the crop
const RATIO = [0.3, 3.3] as const // height by width
const TRIES = 10

/**
 * The rectangle of a training sample's crop that is erased: random erasing (Zhong et al., AAAI 2020) as
 * torchvision's RandomErasing draws it with its defaults. The area is uniform, the ratio uniform in its
 * logarithm; after ten tries that do not fit into the crop, as without erasing, it is empty. A pure
 * function of (seed, epoch, sampleIndex).
 */
export function erasing(
  seed: number,
  epoch: number,
  sampleIndex: number,
  probability: number,
  [height, width]: readonly [number, number],
): Rectangle {
  const next = draws(seed, epoch, sampleIndex, Purpose.erasing)
  const between = (least: number, most: number) => least + uniform(next()) * (most - least)
  if (uniform(next()) >= probability) return [0, 0, 0, 0]
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = between(...AREA) * height * width
    const ratio = Math.exp(between(Math.log(RATIO[0]), Math.log(RATIO[1])))
    const [high, wide] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))]
    if (high >= height || wide >= width) continue
    return [below(next(), height - high + 1), below(next(), width - wide + 1), high, wide]
  }
  return [0, 0, 0, 0]
}

/** Half the difference; an odd one goes to the even neighbour, as Python's round(x / 2.0). */
function centre(size: number, crop: number): number {
  // A crop that needs padding is placed as torchvision pads: the smaller half above and on the
  // left.
  if (crop > size) return -Math.floor((crop - size) / 2)
  const half = (size - crop) / 2
  return Number.isInteger(half) ? half : 2 * Math.round(half / 2)
}
