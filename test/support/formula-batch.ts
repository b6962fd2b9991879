// Images and windows that both sides compute (test/reference/python/formula.py), and the small
// trainer configuration of the tests that use them.

import type { BatchPlaces, NativeTrainerConfig, PixelSource } from '../../lib/binding.js'
import { words } from './formula-weights.js'

/**
 * u8 [count, height, width, 3]: 8x8 blocks of random colour, image n at (n % 4 + 1) / 4 of its
 * brightness; a grain of 4 bits keeps max-pools free of ties.
 */
export function pixels(count: number, height: number, width: number): Uint8Array {
  const rows = Math.ceil(height / 8)
  const columns = Math.ceil(width / 8)
  const blocks = words('pixels', count * rows * columns * 3)
  const image = new Uint8Array(count * height * width * 3)
  const grain = words('grain', image.length)
  for (let at = 0; at < image.length; at++) {
    const channel = at % 3
    const x = Math.floor(at / 3) % width
    const y = Math.floor(at / (3 * width)) % height
    const n = Math.floor(at / (3 * width * height))
    const block = blocks[((n * rows + (y >> 3)) * columns + (x >> 3)) * 3 + channel] as number
    image[at] = (((block >>> 24) * ((n % 4) + 1)) >> 2) ^ ((grain[at] as number) >>> 28)
  }
  return image
}

/** int32 [count, 3]: top, left, flip, with up to `padding` pixels outside the image. */
export function windows(
  step: number,
  count: number,
  image: { height: number; width: number },
  crop: { height: number; width: number },
  padding: number,
): Int32Array {
  const tops = image.height - crop.height + 2 * padding + 1
  const lefts = image.width - crop.width + 2 * padding + 1
  return Int32Array.from(words(`windows.${step}`, count * 3), (word, at) => {
    if (at % 3 === 2) return word >>> 31
    return (word % (at % 3 === 0 ? tops : lefts)) - padding
  })
}

/** `count` whole images with the labels 0, 1, .., numClasses - 1, 0, 1, .. */
export function wholeBatch(
  count: number,
  side: number,
  numClasses: number,
): BatchPlaces & PixelSource & { labels: Int32Array } {
  return {
    pixels: pixels(count, side, side),
    count,
    height: side,
    width: side,
    windows: new Int32Array(count * 3),
    labels: Int32Array.from({ length: count }, (_, n) => n % numClasses),
  }
}

/** The toy model with cross entropy on the CPU, five classes, 32 px. */
export function toyTrainer(overrides: Partial<NativeTrainerConfig> = {}): NativeTrainerConfig {
  return {
    model: {
      backbone: 'toy',
      head: 'two-layer',
      numClasses: 5,
      channelsPerClass: 0,
      input: { height: 32, width: 32 },
    },
    loss: { name: 'cross-entropy' },
    optim: { momentum: 0.9, nesterov: false, weightDecay: 5e-4, headLrScale: 1 },
    initSeed: 1,
    device: 'cpu',
    precision: 'fp32',
    channelsLast: true,
    threads: 1,
    settings: { cudnnBenchmark: true, tf32: true, deterministic: false, cudaGraph: 'auto' },
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    rank: 0,
    worldSize: 1,
    ...overrides,
  }
}

/** Without what LibTorch says of operators that it has in no deterministic form on a GPU. */
export const ownWarnings = ({ warnings }: { warnings: string[] }) =>
  warnings.filter((text) => !text.includes('deterministic implementation'))

/** The MC-Loss with weights that matter. */
export const mcLossConfig = {
  name: 'mc',
  form: 'official',
  alpha: 1.5,
  beta: 4,
  keep: 'ceil-half',
  maskScope: 'batch',
} as const
