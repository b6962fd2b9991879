// bench/step-kernels.mjs: hand-counted blocks, its lines of our kernels, and what has no row.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { agreement } from '../../bench/step-agreement.mjs'
import {
  type Call,
  costOf,
  listLaunches,
  rowBlocks,
  stepKernels,
  type Tensor,
} from '../../bench/step-kernels.mjs'

type Costs = { kernels: number; bytes: number }

const channels = 64
const x: Tensor = [[2, channels, 8, 8], 2, 'channels_last']
const map = 2 * channels * 8 * 8 * 2 // bytes of x
const perChannel: Tensor = [[channels], 4, 'contiguous']
const saved: Tensor = [[6, channels], 8, 'contiguous']
const none: Tensor = [[0], 2, 'contiguous']

function sum(calls: [op: string, inputs: Tensor[], outputs: Tensor[]][]): Costs {
  const costs = calls.map(([op, inputs, outputs]) => costOf({ op, calls: 1, inputs, outputs }))
  return {
    kernels: costs.reduce((total, cost) => total + cost.kernels, 0),
    bytes: costs.reduce((total, cost) => total + cost.bytes, 0),
  }
}

test('batch norm, add and ReLU of PyTorch: 5 kernels and 8 maps there, 3 kernels and 8 maps back', () => {
  // Statistics (read x), running values, normalise (read x, write y); add (2 read, 1 written); ReLU.
  expect(
    sum([
      ['aten::native_batch_norm', [x, perChannel, perChannel], [x, perChannel, perChannel]],
      ['aten::add_', [x, x], [x]],
      ['aten::relu_', [x], [x]],
    ]),
  ).toEqual({ kernels: 3 + 1 + 1, bytes: (3 + 3 + 2) * map })
  // ReLU (2 read, 1 written); sums (read grad, x), gradient (read grad, x, write).
  expect(
    sum([
      ['aten::threshold_backward', [x, x], [x]],
      ['aten::native_batch_norm_backward', [x, x, perChannel], [x, perChannel, perChannel]],
    ]),
  ).toEqual({ kernels: 1 + 2, bytes: (3 + 5) * map })
})

test('the same in one operator of ours: 2 kernels and 4 maps there, 2 kernels and 7 maps back', () => {
  // 128 rows are one chunk, with two doubles per channel, written and read.
  const partial = 2 * 2 * 8 * channels
  expect(sum([['mcloss::batch_norm_act_forward', [x, x, perChannel], [x, saved]]])).toEqual({
    kernels: 2,
    bytes: 4 * map + partial,
  })
  // Sums: read grad, x, y, write the masked gradient. Gradient: read that and x, write.
  expect(
    sum([['mcloss::batch_norm_act_backward', [x, x, x, saved], [x, perChannel, perChannel, x]]]),
  ).toEqual({ kernels: 2, bytes: 7 * map + partial })
  // Without a residual: 3 maps there; back grad and x twice, and the result.
  expect(sum([['mcloss::batch_norm_act_forward', [x, perChannel], [x, saved]]]).bytes).toBe(
    3 * map + partial,
  )
  expect(
    sum([['mcloss::batch_norm_act_backward', [x, x, saved], [x, perChannel, perChannel, none]]]),
  ).toEqual({ kernels: 2, bytes: 5 * map + partial })
})

test('a gradient in another layout is copied first', () => {
  const other: Tensor = [x[0], 2, 'contiguous']
  for (const [op, rest, more] of [
    ['mcloss::batch_norm_act_backward', [saved], [none]],
    ['aten::native_batch_norm_backward', [perChannel], []],
  ] as const) {
    const outputs = [x, perChannel, perChannel, ...more]
    const [same, copied] = [x, other].map((grad) => sum([[op, [grad, x, ...rest], outputs]]))
    expect(copied).toEqual({
      kernels: (same as Costs).kernels + 1,
      bytes: (same as Costs).bytes + 2 * map,
    })
  }
})

test('many rows: partial sums, and a kernel that clears the semaphores', () => {
  const wide: Tensor = [[32, channels, 112, 112], 2, 'channels_last']
  expect(rowBlocks(x)).toBe(1)
  expect(rowBlocks(wide)).toBe(128)
  expect(sum([['aten::native_batch_norm', [wide, perChannel], [wide]]])).toEqual({
    kernels: 4,
    bytes: 3 * (32 * channels * 112 * 112 * 2) + 2 * 12 * channels * 128,
  })
})

test('lists of tensors: launches by tensors and by chunks of 65536 values', () => {
  expect(listLaunches(Array(161).fill(65_536), 3)).toBe(1)
  expect(listLaunches(Array(400).fill(10), 3)).toBe(2) // 336 tensors a launch
  expect(listLaunches([65_536 * 2240], 1)).toBe(1)
  expect(listLaunches([65_536 * 2240 + 1], 1)).toBe(2)
})

test('a convolution is a kernel per result and no bytes; calls count; a view is free', () => {
  const call = { op: 'aten::convolution_backward', calls: 53, inputs: [x, x, x], outputs: [x, x] }
  expect(costOf(call)).toEqual({ kernels: 106, bytes: 0 })
  expect(costOf({ op: 'aten::view', calls: 9, inputs: [x], outputs: [x] })).toEqual({
    kernels: 0,
    bytes: 0,
  })
})

test('an operator without a row is refused by name', () => {
  const unknown: Call = { op: 'aten::cumsum', calls: 1, inputs: [x], outputs: [x] }
  expect(() => costOf(unknown)).toThrow(/no row for aten::cumsum/)
})

test('each line of ours that a row names launches a kernel', () => {
  const root = join(import.meta.dirname, '../..')
  const named = [...stepKernels.values()].flatMap(
    ({ source }) => source.match(/native\S+:\d+/g) ?? [],
  )
  expect(named).toHaveLength(11)
  for (const place of named) {
    const [file, line] = place.split(':') as [string, string]
    const text = readFileSync(join(root, file), 'utf8').split('\n')[Number(line) - 1]
    expect(text, place).toContain('<<<')
  }
})

test('a step of native with one operator more, fewer or unknown does not agree', () => {
  const rows = new Map([
    ['aten::mm', { calls: 2 }],
    ['aten::add_', { calls: 3 }],
    ['aten::view', { calls: 9 }],
  ])
  const taken = new Map([
    ['aten::mm', 2],
    ['aten::add', 1],
    ['aten::add_', 4], // others call it too
    ['aten::linear', 1],
    ['AddmmBackward0', 1],
  ])
  expect(agreement(rows, taken).ok).toBe(true)
  for (const [op, calls] of [
    ['aten::mm', 1],
    ['aten::mm', 3],
    ['aten::add_', 1],
    ['aten::relu_', 1],
    ['mcloss::new_operator', 1],
  ] as const) {
    const { ok, text } = agreement(rows, new Map([...taken, [op, calls]]))
    expect(ok, op).toBe(false)
    expect(text).toMatch(/^(aten|mcloss)::\w+: \d, in native's step \d$/)
  }
})
