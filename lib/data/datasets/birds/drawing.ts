// One drawn bird as pixels: pose, size, place, background, clutter, twigs, light and noise vary
// with the image, the marks of its class do not. A pure function of (seed, class, split, index).

import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { checkArgument, count, record } from '../../../arguments.js'
import { below, draws, Purpose, uniform } from '../../../random.js'
import { SPLITS } from '../../batch.js'
import { renderSvg } from '../../images.js'
import { birdClass } from './classes.js'
import { birdScene, svgDocument } from './scene.js'

export interface BirdDrawing {
  /** 0..MAX_BIRD_CLASSES-1 */
  cls: number
  split: 'train' | 'test'
  /** Of the image within its class and split. */
  index: number
  /** 0..2^53-1: another seed gives other images of the same classes. */
  seed: number
  /** Side of the square image, pixels. */
  size: number
  /** Draw the bird's mask too; parts: also that of the parts by which kinds of a family differ. */
  mask?: boolean | 'parts' | undefined
}

export interface DrawnBird {
  /** u8 RGB [size, size, 3] */
  pixels: Uint8Array
  /** u8 [size, size]: 255 where the bird is, also behind twigs, else 0; where it was asked for. */
  mask?: Uint8Array
  /** The same of the places of these parts, whether or not this kind has them. */
  parts?: Uint8Array
}

const BYTES_A_TURN = 30_000 // drawn before the event loop gets its turn, 2-3 ms
const NOISE_DRAWS = 2 ** 20 // draws from here on are noise; a scene takes some 300
const NOISE_DEVIATION = 2 // levels of 255
// The sum of a draw's four bytes is nearly normal, and exact on every machine.
const BYTES = { mean: 510, deviation: Math.sqrt((4 * (256 ** 2 - 1)) / 12) }

const drawingShape = record({
  cls: z.int(),
  split: z.enum(SPLITS),
  index: z.int().min(0),
  seed: z.int().min(0),
  size: count,
  mask: z.union([z.boolean(), z.literal('parts')]).optional(),
})

/** @throws McLossError E_ARGUMENT for a class that is not there. */
export async function drawBird(drawing: BirdDrawing): Promise<DrawnBird> {
  checkArgument('datasets.drawBird', 'drawing', drawingShape, drawing)
  const { cls, split, index, seed, size } = drawing
  // Even steps are training images, odd ones test images: they never share a draw.
  const step = 2 * cls + (split === 'test' ? 1 : 0)
  const next = draws(seed, step, index, Purpose.drawing)
  const random = {
    int: (least: number, end: number) => least + below(next(), end - least),
    real: (least: number, end: number) => least + uniform(next()) * (end - least),
  }
  const { behind, bird, before, parts } = birdScene(birdClass(cls), random)
  const light = random.real(0.75, 1.2)
  const { pixels } = await renderSvg(svgDocument(size, behind + bird + before))
  await addLightAndNoise(pixels, light, draws(seed, step, index, Purpose.drawing, NOISE_DRAWS))
  if (!drawing.mask) return { pixels }
  const mask = await maskOf(size, bird)
  return drawing.mask === 'parts'
    ? { pixels, mask, parts: await maskOf(size, parts) }
    : { pixels, mask }
}

async function addLightAndNoise(
  pixels: Uint8Array,
  light: number,
  next: () => number,
): Promise<void> {
  for (let at = 0; at < pixels.length; at++) {
    if (at % BYTES_A_TURN === BYTES_A_TURN - 1) await setImmediate()
    const word = next()
    const sum = (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24)
    const noise = ((sum - BYTES.mean) / BYTES.deviation) * NOISE_DEVIATION
    const value = (pixels[at] as number) * light + noise
    pixels[at] = Math.max(0, Math.min(255, Math.round(value)))
  }
}

async function maskOf(size: number, elements: string): Promise<Uint8Array> {
  const white = '<style>*{fill:#fff}line{stroke:#fff}</style>'
  const { pixels } = await renderSvg(svgDocument(size, white + elements))
  const mask = new Uint8Array(size * size)
  for (let at = 0; at < mask.length; at++) mask[at] = (pixels[at * 3] as number) < 128 ? 0 : 255
  return mask
}
