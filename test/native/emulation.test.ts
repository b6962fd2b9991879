// The kernels that run on the CPU are a part of the C++ tests and of nothing else.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const build = join(import.meta.dirname, '../../build')
const traces = ['mcloss_emulated', '__tsan_']
const holds = (file: string) => {
  const content = readFileSync(join(build, file))
  return traces.filter((trace) => content.includes(trace))
}

test('no library of the product holds an emulated kernel', () => {
  const libraries = readdirSync(join(build, 'Release')).filter((name) => /\.(node|so)$/.test(name))
  expect(libraries).toContain('mcloss.node')
  for (const name of libraries) expect(holds(join('Release', name)), name).toEqual([])
  // What the test looks for is there where it should be.
  if (existsSync(join(build, 'ops_test'))) expect(holds('ops_test')).toEqual(traces)
})
