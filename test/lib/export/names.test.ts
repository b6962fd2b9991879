// The names and shapes that torchvision and timm give the weights of our models.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exportModel } from '../../../lib/export/index.js'
import type { SavedModel } from '../../../lib/export/model.js'
import { renamed } from '../../../lib/export/names.js'
import { contiguousStrides } from '../../../lib/weights/table.js'
import { fixtureLines } from '../../support/fixture-lines.js'
import { savedCase } from '../../support/onnx.js'
import { plainRead } from '../../support/safetensors-files.js'
import { temporaryFolder } from '../../support/small-birds.js'

const linear = { kind: 'linear' } as const
const cosine = { kind: 'cosine', scale: 8 } as const

function savedAs(model: Partial<SavedModel['model']>): SavedModel {
  const whole = { channelsPerClass: 0, classifier: linear, ...model }
  return { file: 'model.safetensors', model: whole } as unknown as SavedModel
}

const stored = (shapes: Record<string, number[]>) =>
  Object.entries(shapes).map(([name, shape]) => {
    const place = { strides: contiguousStrides(shape), offset: 0, storage: { begin: 0, end: 0 } }
    return { name, dtype: 'F32' as const, shape, ...place }
  })

function namesOf(
  model: Partial<SavedModel['model']>,
  shapes: Record<string, number[]>,
  of: 'torchvision' | 'timm',
) {
  const { kept, leftOut } = renamed(savedAs(model), stored(shapes), of)
  return { kept: Object.fromEntries(kept.map(({ name, shape }) => [name, shape])), leftOut }
}

const published = fixtureLines<{ backbone: string; state: Record<string, number[]> }>(
  'models/torchvision.jsonl',
)

test.each(published)(
  "$backbone with torchvision's head is torchvision's",
  ({ backbone, state }) => {
    const model = { backbone, head: 'torchvision' }
    expect(namesOf(model, state, 'torchvision')).toEqual({ kept: state, leftOut: [] })
  },
)

test("timm's VGG has convolutions in place of two linear layers", () => {
  const state = published.find(({ backbone }) => backbone === 'vgg16_bn')?.state ?? {}
  const { kept } = namesOf({ backbone: 'vgg16_bn', head: 'torchvision' }, state, 'timm')
  expect(Object.fromEntries(Object.entries(kept).slice(0, 2))).toEqual(
    Object.fromEntries(Object.entries(state).slice(0, 2)),
  )
  const heads = Object.entries(kept).filter(([name]) => !name.startsWith('features.'))
  expect(Object.fromEntries(heads)).toEqual({
    'pre_logits.fc1.weight': [4096, 512, 7, 7],
    'pre_logits.fc1.bias': [4096],
    'pre_logits.fc2.weight': [4096, 4096, 1, 1],
    'pre_logits.fc2.bias': [4096],
    'head.fc.weight': [1000, 4096],
    'head.fc.bias': [1000],
  })
})

test('a head that the library does not compute is left out, and said to be', () => {
  const rows = { 'conv1.weight': [64, 3, 7, 7], 'head.fc.weight': [5, 512], 'head.fc.bias': [5] }
  const own = { 'conv1.weight': [64, 3, 7, 7], 'fc.weight': [5, 512], 'fc.bias': [5] }
  for (const of of ['torchvision', 'timm'] as const) {
    const model = { backbone: 'resnet18', head: 'linear' }
    expect(namesOf(model, rows, of)).toEqual({ kept: own, leftOut: [] })
    for (const other of [{ head: 'bilinear' }, { classifier: cosine }]) {
      expect(namesOf({ ...model, ...other }, rows, of)).toEqual({
        kept: { 'conv1.weight': [64, 3, 7, 7] },
        leftOut: ['head.fc.weight', 'head.fc.bias'],
      })
    }
  }
  for (const none of [{ backbone: 'toy' }, { backbone: 'resnet50', channelsPerClass: 3 }]) {
    expect(() => namesOf({ head: 'linear', ...none }, rows, 'timm')).toThrow(/timm has no/)
  }
})

test('the file has the bytes of the weights under those names', async () => {
  const folder = temporaryFolder()
  const model = { backbone: 'resnet18', head: 'linear' } as const
  const given = { model, loss: { name: 'cross-entropy' } as const, side: 32, classes: 3 }
  const { weights } = await savedCase(folder, given, 1)
  const out = join(folder, 'out.safetensors')
  await exportModel({ weights, out, format: 'safetensors', names: 'timm' })
  const [ours, theirs] = [plainRead(weights).tensors, plainRead(out).tensors]
  expect(theirs.size).toBe(ours.size)
  for (const [name, { bytes, shape }] of ours) {
    const found = theirs.get(name.replace(/^head\./, ''))
    expect(found?.shape, name).toEqual(shape)
    expect(found?.bytes.equals(bytes), name).toBe(true)
  }
  rmSync(folder, { recursive: true })
})
