// Every backbone with every head and every last layer, exported and run by onnxruntime-web: probabilities and
// feature map as native's.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConfigInput } from '../../../lib/config/index.js'
import { exportModel } from '../../../lib/export/index.js'
import { soak } from '../../support/fixture-lines.js'
import { narrowVgg } from '../../support/narrow-vgg.js'
import { bytesImage, floatsImage, runOnnx, savedCase } from '../../support/onnx.js'
import { temporaryFolder } from '../../support/small-birds.js'

let folder: string
beforeEach(() => {
  folder = temporaryFolder()
})
afterEach(() => rmSync(folder, { recursive: true }))

type Model = ConfigInput['model']
const losses = {
  linear: { name: 'cross-entropy' },
  mc: { name: 'mc', alpha: 1, beta: 1 },
  cosine: { name: 'lmcl', scale: 8 },
  norm: { name: 'a-softmax' },
  distance: { name: 'lgm' },
} as unknown as Record<string, ConfigInput['loss']>

interface Row {
  model: Model
  /** Of losses, by its last layer. */
  layer: string
  side?: number
}

const isqrt = { head: 'bilinear', pooling: 'isqrt' } as const
// The channels of the last stage are few, so that the networks are small.
const small = { backbone: 'vgg-small', channelsPerClass: 3 } as const
const resnet18 = { backbone: 'resnet18', channelsPerClass: 3 } as const
const resnet50 = { backbone: 'resnet50', channelsPerClass: 3 } as const
const vgg16 = { backbone: 'vgg16', channelsPerClass: 2 } as const
const vgg16Bn = { backbone: 'vgg16_bn', channelsPerClass: 2 } as const

/** Each backbone with each head, but for torchvision's of a VGG: below narrower, in `long` as it is. */
const rows: Row[] = [
  { model: { backbone: 'toy', head: 'linear' }, layer: 'linear' },
  { model: { backbone: 'toy', head: 'two-layer', channelsPerClass: 4 }, layer: 'mc' },
  { model: { backbone: 'toy', head: 'bilinear' }, layer: 'cosine' },
  { model: { backbone: 'toy', head: 'bilinear', reduction: 8 }, layer: 'distance' },
  { model: { backbone: 'toy', ...isqrt }, layer: 'norm' },
  { model: { backbone: 'toy', ...isqrt, reduction: 8 }, layer: 'linear' },
  { model: { ...small, head: 'two-layer' }, layer: 'norm' },
  { model: { ...small, head: 'linear' }, layer: 'distance' },
  { model: { ...small, head: 'bilinear' }, layer: 'linear' },
  { model: { ...resnet18, head: 'linear' }, layer: 'cosine' },
  { model: { backbone: 'resnet18', head: 'torchvision' }, layer: 'cosine' },
  { model: { ...resnet18, head: 'two-layer' }, layer: 'mc' },
  { model: { ...resnet18, head: 'bilinear', reduction: 8 }, layer: 'norm' },
  { model: { ...resnet50, head: 'linear' }, layer: 'linear' },
  { model: { backbone: 'resnet50', head: 'torchvision' }, layer: 'norm' },
  { model: { ...resnet50, head: 'two-layer' }, layer: 'mc' },
  { model: { ...resnet50, head: 'bilinear', reduction: 8 }, layer: 'cosine' },
  { model: { ...vgg16, head: 'linear' }, layer: 'cosine' },
  { model: { ...vgg16, head: 'two-layer' }, layer: 'cosine' },
  { model: { ...vgg16, head: 'bilinear', reduction: 8 }, layer: 'linear' },
  { model: { ...vgg16Bn, head: 'linear' }, layer: 'cosine' },
  { model: { ...vgg16Bn, head: 'two-layer' }, layer: 'linear' },
  { model: { ...vgg16Bn, ...isqrt, reduction: 8 }, layer: 'linear' },
]

/** Without few channels, and pictures of 224 px; up to 138 million parameters each. */
const long: Row[] = [
  { model: { backbone: 'resnet18', head: 'bilinear', reduction: 32 }, layer: 'norm' },
  { model: { backbone: 'resnet50', head: 'bilinear', reduction: 16 }, layer: 'cosine' },
  { model: { backbone: 'vgg16', head: 'linear' }, layer: 'linear' },
  { model: { backbone: 'vgg16', head: 'bilinear', reduction: 16 }, layer: 'linear' },
  { model: { backbone: 'vgg16', head: 'torchvision' }, layer: 'linear' },
  { model: { backbone: 'vgg16_bn', head: 'linear' }, layer: 'cosine' },
  { model: { backbone: 'vgg16', head: 'two-layer' }, layer: 'cosine' },
  { model: { backbone: 'vgg16_bn', ...isqrt, reduction: 16 }, layer: 'linear' },
  { model: { backbone: 'vgg16_bn', head: 'torchvision' }, layer: 'cosine' },
  ...(['resnet18', 'resnet50', 'vgg16', 'vgg16_bn'] as const).flatMap((backbone): Row[] => [
    { model: { backbone, head: 'torchvision' }, layer: 'linear', side: 224 },
    { model: { backbone, head: 'two-layer' }, layer: 'linear', side: 224 },
  ]),
]

const largestOf = (values: Float32Array) =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** Logits, which a softmax takes up to a constant. */
function centred(logits: Float32Array): Float32Array {
  const mean = logits.reduce((sum, value) => sum + value, 0) / logits.length
  return logits.map((value) => value - mean)
}

const largestDifference = (a: Float32Array, b: ArrayLike<number>) =>
  largestOf(a.map((value, at) => value - (b[at] as number)))

function expectSameLogits(probabilities: Float32Array, logits: Float32Array, classes: number) {
  for (let begin = 0; begin < logits.length; begin += classes) {
    const own = centred(logits.subarray(begin, begin + classes))
    const theirs = centred(probabilities.subarray(begin, begin + classes).map(Math.log))
    expect(largestDifference(theirs, own)).toBeLessThan(1e-4 * largestOf(own))
  }
}

for (const { model, layer, side = 64 } of [...rows, ...(soak ? long : [])]) {
  const { backbone, head, channelsPerClass: xi, pooling, reduction } = model
  const parts = [`xi ${xi}`, pooling, `reduction ${reduction}`, layer, `${side} px`]
  const name = [backbone, head, ...parts.filter((part) => part && !/undefined/.test(part))].join(
    ' ',
  )
  test(name, async () => {
    const [classes, out] = [10, join(folder, 'model.onnx')]
    const loss = losses[layer] as ConfigInput['loss']
    const { weights, bytes, logits, features } = await savedCase(
      folder,
      { model, loss, side, classes },
      2,
    )
    const exported = await exportModel({ weights, out, format: 'onnx', maps: true })
    expect(exported).toMatchObject({ path: out, leftOut: [] })
    const { outputs, probabilities, maps } = await runOnnx(out, bytesImage(bytes, side))

    expect(outputs.probabilities?.dims).toEqual([2, classes])
    expectSameLogits(probabilities, logits, classes)
    expect(outputs.maps?.dims).toEqual(features.shape)
    expect(largestDifference(maps, features.data)).toBeLessThan(1e-4 * largestOf(features.data))
  })
}

test.each(['vgg16', 'vgg16_bn'] as const)("%s torchvision's head, narrower", async (backbone) => {
  const [side, classes, out] = [64, 5, join(folder, 'narrow.onnx')]
  const given = { model: { backbone, head: 'linear' } as const, side, classes }
  const loss = losses.linear as ConfigInput['loss']
  const saved = await savedCase(folder, { ...given, loss }, 2)
  const { weights, logits } = narrowVgg(folder, saved, classes)
  await exportModel({ weights, out, format: 'onnx' })
  const { probabilities } = await runOnnx(out, bytesImage(saved.bytes, side))
  expectSameLogits(probabilities, logits, classes)
})

test('f32: floats 0..1 with the channels first give the same, for any number of pictures', async () => {
  const model: Model = { backbone: 'toy', head: 'linear' }
  const loss = losses.linear as ConfigInput['loss']
  const { weights, bytes } = await savedCase(folder, { model, loss, side: 40, classes: 3 }, 5)
  for (const input of ['u8', 'f32'] as const) {
    await exportModel({ weights, out: join(folder, input), format: 'onnx', input })
  }
  const u8 = await runOnnx(join(folder, 'u8'), bytesImage(bytes, 40))
  const f32 = await runOnnx(join(folder, 'f32'), floatsImage(bytes, 40))
  expect(u8.probabilities).toHaveLength(15)
  expect(Object.keys(u8.outputs)).toEqual(['probabilities'])
  expect(largestDifference(f32.probabilities, u8.probabilities)).toBeLessThan(1e-6)
})
