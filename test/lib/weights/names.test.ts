// Names and shapes become torchvision's, and nothing else changes.

import { expect, test } from 'vitest'
import { torchvisionNames } from '../../../lib/weights/names.js'
import { contiguousStrides, type Dtype, type StoredTensor } from '../../../lib/weights/table.js'

const stored = (name: string, shape: number[], dtype: Dtype = 'F32'): StoredTensor => {
  const strides = contiguousStrides(shape)
  return { name, dtype, shape, strides, offset: 0, storage: { begin: 0, end: 0 } }
}
const shapes = (tensors: StoredTensor[]) => tensors.map(({ name, shape }) => [name, shape])

const timm = [
  stored('features.0.weight', [64, 3, 3, 3]),
  stored('pre_logits.fc1.weight', [4096, 512, 7, 7]),
  stored('pre_logits.fc1.bias', [4096]),
  stored('pre_logits.fc2.weight', [4096, 4096, 1, 1]),
  stored('pre_logits.fc2.bias', [4096]),
  stored('head.fc.weight', [1000, 4096]),
  stored('head.fc.bias', [1000]),
]

test("timm's VGG: the head's names and shapes are torchvision's", () => {
  const { tensors, prefix, changes } = torchvisionNames(timm)
  expect(shapes(tensors)).toEqual([
    ['features.0.weight', [64, 3, 3, 3]],
    ['classifier.0.weight', [4096, 25088]],
    ['classifier.0.bias', [4096]],
    ['classifier.3.weight', [4096, 4096]],
    ['classifier.3.bias', [4096]],
    ['classifier.6.weight', [1000, 4096]],
    ['classifier.6.bias', [1000]],
  ])
  for (const { shape, strides } of tensors) expect(strides).toEqual(contiguousStrides(shape))
  expect(prefix).toBe(null)
  expect(changes).toEqual(["The names and shapes of timm's VGG became torchvision's."])
})

test('a head of our own is not taken for that of timm', () => {
  const own = [stored('features.0.weight', [8, 3, 3, 3]), stored('head.fc.weight', [5, 8])]
  expect(torchvisionNames(own)).toEqual({ tensors: own, prefix: null, changes: [] })
})

test('a reshape that the bytes do not allow is refused', () => {
  const [first, fc1, ...rest] = timm as [StoredTensor, StoredTensor, ...StoredTensor[]]
  const strides = [25088, 1, 3584, 512]
  expect(() => torchvisionNames([first, { ...fc1, strides }, ...rest])).toThrow(/not contiguous/)
})

test('a prefix goes only if every name has it, and only as often as every name has it', () => {
  const of = (...names: string[]) => torchvisionNames(names.map((name) => stored(name, [1])))
  expect(of('module.a', 'module.b').prefix).toBe('module.')
  expect(of('_orig_mod.module.model.a', '_orig_mod.module.model.b').prefix).toBe(
    '_orig_mod.module.model.',
  )
  expect(of('module.module.a', 'module.b').prefix).toBe('module.')
  expect(of('module.a', 'b').prefix).toBe(null)
  expect(of('modulea', 'moduleb').prefix).toBe(null)
  expect(of('module.', 'module.a').prefix).toBe(null)
  expect(of().prefix).toBe(null)
})

test('an averaged model: its counter goes, and it is said', () => {
  const { tensors, changes } = torchvisionNames([
    stored('n_averaged', [], 'I64'),
    stored('module.a', [1]),
  ])
  expect(shapes(tensors)).toEqual([['a', [1]]])
  expect(changes.join()).toMatch(/average/)
})

test('what becomes float32 is said', () => {
  const { changes } = torchvisionNames([
    stored('a', [1], 'F16'),
    stored('b', [1], 'F16'),
    stored('c', [1], 'F64'),
    stored('d', [], 'I64'),
  ])
  expect(changes).toEqual([
    '2 tensors are F16: their values become F32.',
    '1 tensors are F64: their values become F32.',
  ])
})
