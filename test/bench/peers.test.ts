// What benches make of a peer's answers, with numbers that are not finite.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LineProcess } from '../../bench/line-process.mjs'
import { fasterOf, verdict } from '../../bench/mc-loss-verdict.mjs'

const right = { loss: 1, lossError: 1e-8, gradientError: 1e-7, ok: true }
const wrong = { loss: 1, lossError: 1e-8, gradientError: null, ok: false }
const times = { slices: [1, 1, 9], pool: [2, 2, 2] }

test('the faster form is the peer, by its median', () => {
  expect(fasterOf(['pool', 'slices'], times, { slices: right, pool: right })).toBe('slices')
})

test('a form that computes something else is no peer, unless all do: then the row is void', () => {
  expect(fasterOf(['slices', 'pool'], times, { slices: wrong, pool: right })).toBe('pool')
  const checked = { slices: wrong, pool: wrong, leftOut: 0 }
  expect(fasterOf(['slices', 'pool'], times, checked)).toBe('slices')
  const { ok, text } = verdict(checked, ['slices'])
  expect(ok).toBe(false)
  expect(text).toContain('slices 1.00000 (1.0e-8, not finite)')
})

const python = spawnSync('python3', ['--version']).status === 0
const needs = python ? '' : ' (python3 is not there)'

test.skipIf(!python)(`a peer that answers with NaN is named and goes on${needs}`, async () => {
  const program = `
import sys
sys.path.insert(0, ${JSON.stringify(join(import.meta.dirname, '../../bench/peers'))})
from lines import serve
class Side:
    def value(self, text): return {'value': float(text)}
serve(Side())`
  const side = new LineProcess('side', 'python3', ['-c', program])
  try {
    await expect(side.ask('value', { text: 'nan' })).rejects.toThrow(/^side: ValueError: .*JSON/)
    expect(await side.ask('value', { text: '0.5' })).toEqual({ value: 0.5 })
  } finally {
    side.close()
  }
})
