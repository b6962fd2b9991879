// torchvision's head of a VGG has 120 million numbers, too many for every test run. Here it has fewer hidden
// units, and its twin is plain loops over the feature map that native computes.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { safetensorsHeader } from '../../lib/weights/safetensors.js'
import { words } from './formula-weights.js'
import type { savedCase } from './onnx.js'
import { plainRead } from './safetensors-files.js'

const [HIDDEN, SIDE] = [16, 7]

/** The backbone of a saved case with such a head. @returns its file, and the logits of the case's pictures. */
export function narrowVgg(
  folder: string,
  { weights, features }: Awaited<ReturnType<typeof savedCase>>,
  classes: number,
) {
  const [count = 0, channels = 0, size = 0] = features.shape
  const layers = ['classifier.0', 'classifier.3', 'classifier.6']
  const widths = [channels * SIDE ** 2, HIDDEN, HIDDEN, classes]
  const own = layers.flatMap((layer, at) => {
    const [inputs = 0, outputs = 0] = widths.slice(at)
    return [
      {
        name: `${layer}.weight`,
        shape: [outputs, inputs],
        values: uniform(layer, outputs, inputs),
      },
      { name: `${layer}.bias`, shape: [outputs], values: uniform(`${layer}.bias`, outputs, 1) },
    ]
  })
  const { metadata, tensors } = plainRead(weights)
  const kept = [...tensors]
    .filter(([name]) => !name.startsWith('head.'))
    .map(([name, { dtype, shape, bytes }]) => ({ name, dtype: dtype as 'F32', shape, bytes }))
  const added = own.map(({ name, shape, values }) => {
    return { name, dtype: 'F32' as const, shape, bytes: Buffer.from(values.buffer) }
  })
  const config = JSON.parse(metadata.config as string)
  config.model.head = 'torchvision'
  const all = [...kept, ...added]
  const header = safetensorsHeader(all, { ...metadata, config: JSON.stringify(config) })
  const path = join(folder, 'narrow.safetensors')
  writeFileSync(path, Buffer.concat([header, ...all.map(({ bytes }) => bytes)]))

  const logits = Array.from({ length: count }, (_, n) => {
    const map = features.data.subarray(n * channels * size ** 2)
    let x = pooled(map, channels, size)
    for (const at of [0, 2, 4]) {
      const [weight, bias] = [own[at], own[at + 1]].map((layer) => layer?.values) as Float32Array[]
      x = dense(x, weight as Float32Array, bias as Float32Array)
      if (at < 4) x = x.map((value) => Math.max(value, 0))
    }
    return x
  })
  return { weights: path, logits: Float32Array.from(logits.flat()) }
}

/** -1 .. 1 by the root of the inputs. */
function uniform(name: string, outputs: number, inputs: number): Float32Array {
  const scale = inputs ** -0.5
  return Float32Array.from(words(name, outputs * inputs), (word) => (word / 2 ** 31 - 1) * scale)
}

const dense = (x: number[], weight: Float32Array, bias: Float32Array): number[] =>
  Array.from(bias, (value, row) =>
    x.reduce((sum, one, k) => sum + one * (weight[row * x.length + k] as number), value),
  )

/** A maximum of 2 x 2, then means of 7 x 7 windows: [channels, size, size] to [channels * 49]. */
function pooled(map: Float32Array, channels: number, size: number): number[] {
  const half = Math.floor(size / 2)
  const at = (c: number, y: number, x: number) => map[(c * size + y) * size + x] as number
  const largest = (c: number, y: number, x: number) =>
    Math.max(at(c, y, x), at(c, y, x + 1), at(c, y + 1, x), at(c, y + 1, x + 1))
  const windowOf = (i: number) => {
    const begin = Math.floor((i * half) / SIDE)
    const length = Math.ceil(((i + 1) * half) / SIDE) - begin
    return Array.from({ length }, (_, k) => 2 * (begin + k))
  }
  const values: number[] = []
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < SIDE ** 2; i++) {
      const [rows, columns] = [windowOf(Math.floor(i / SIDE)), windowOf(i % SIDE)]
      const sum = rows.reduce((a, y) => columns.reduce((b, x) => b + largest(c, y, x), a), 0)
      values.push(sum / (rows.length * columns.length))
    }
  }
  return values
}
